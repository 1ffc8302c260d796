namespace Federation.Privacy.Ledger;

/// <summary>For which rounds of a run something was reserved, one purpose after the other: an update, an evaluation. A lookup, however long the ledger is.</summary>
internal sealed class RunRounds
{
    // A process that dies between a reservation and its release reserves the round again.
    private const int Tries = 2;

    private readonly Dictionary<(string Run, string Purpose), Reserved> _of = [];

    public void Add(Release release)
    {
        if (!_of.TryGetValue((release.Run, release.Purpose), out Reserved? reserved)) _of[(release.Run, release.Purpose)] = reserved = new();
        reserved.Rounds.Add(release.Round);
        reserved.Times++;
    }

    /// <param name="dataSet">For the message.</param>
    /// <param name="most">Different rounds of the run and purpose, this release's included; all together are reserved at most twice as often.</param>
    /// <exception cref="RoundsExceededException">They are more.</exception>
    public void RequireWithin(string dataSet, Release release, long most)
    {
        if (!_of.TryGetValue((release.Run, release.Purpose), out Reserved? reserved)) return;
        string of = $"Run {release.Run} has had '{release.Purpose}' of '{dataSet}'";
        if (reserved.Rounds.Count >= most && !reserved.Rounds.Contains(release.Round)) throw new RoundsExceededException($"{of} for {reserved.Rounds.Count} rounds, and {most} are the most; round {release.Round} gets none.");
        if (reserved.Times >= checked(Tries * most)) throw new RoundsExceededException($"{of} {reserved.Times} times, which is {Tries} for each of {most} rounds; round {release.Round} gets no other.");
    }

    private sealed class Reserved
    {
        public HashSet<long> Rounds { get; } = [];

        public long Times { get; set; }
    }
}
