using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>One sum that may be opened: run, epoch, round and purpose. No two share a pad secret, a smudge or a zero share.</summary>
public sealed record Opening
{
    public const string Update = "update", Evaluation = "evaluation", Test = "test", StatisticsPrefix = "statistics:";

    private const int LongestRun = 256, LongestPurpose = 11 + 64;

    /// <param name="purpose"><see cref="Update"/>, <see cref="Evaluation"/>, <see cref="Test"/> or <see cref="StatisticsPrefix"/> and the query's SHA-256.</param>
    /// <exception cref="ArgumentException">The run has no name, or the purpose is none of these.</exception>
    public Opening(string run, ulong epoch, ulong round, string purpose)
    {
        if (run.Length is 0 or > LongestRun) throw new ArgumentException($"A run's name has 1 to {LongestRun} characters.", nameof(run));
        if (purpose is not (Update or Evaluation or Test) && !(purpose.StartsWith(StatisticsPrefix, StringComparison.Ordinal) && Sha256Hex.IsValid(purpose[StatisticsPrefix.Length..])))
        {
            throw new ArgumentException($"A purpose is update, evaluation, test or statistics:<SHA-256 of the query>, not '{purpose}'.", nameof(purpose));
        }

        (Run, Epoch, Round, Purpose) = (run, epoch, round, purpose);
    }

    public string Run { get; }

    public ulong Epoch { get; }

    public ulong Round { get; }

    public string Purpose { get; }

    public bool IsStatistics => Purpose.StartsWith(StatisticsPrefix, StringComparison.Ordinal);

    public byte[] Encode() => new CanonicalWriter("opening").Field(Run).Field(Epoch).Field(Round).Field(Purpose).ToArray();

    /// <exception cref="FormatException">The bytes are no opening.</exception>
    public static Opening Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "opening");
        string run = reader.Text(4 * LongestRun);
        ulong epoch = reader.UInt64(), round = reader.UInt64();
        string purpose = reader.Text(LongestPurpose);
        reader.End();
        try
        {
            return new(run, epoch, round, purpose);
        }
        catch (ArgumentException wrong)
        {
            throw new FormatException(wrong.Message, wrong);
        }
    }

    /// <summary>What the opening's pads are expanded from.</summary>
    /// <param name="certificateHash">Of the epoch, 32 bytes.</param>
    public byte[] PadSeed(ReadOnlySpan<byte> certificateHash) => new CanonicalWriter("pad").Field(Encode()).Field(certificateHash).Hash();

    public override string ToString() => $"{Purpose} of round {Round} of run '{Run}' in epoch {Epoch}";
}
