using System.Collections.Immutable;
using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.V1;
using Microsoft.Extensions.Logging;
using Roster = Federation.Privacy.SecureAggregation.Roster;

namespace Federation.Server.SecureAggregation;

/// <summary>
/// The opening of one closed sum: names t members at a time, takes their answers, names others where one is gone or refuses. Nothing of it has to survive a restart: the contributions are on disk, and members give the same answers again.
/// </summary>
internal sealed class OpeningSession : IDisposable
{
    /// <summary>How long members that are there are waited for before others are asked.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>How long members that are there may owe an answer where nobody else can be asked. Long: what they have to fetch first may be a hundred megabytes.</summary>
    public static readonly TimeSpan LastPatience = TimeSpan.FromMinutes(10);

    private readonly RunContext _context;
    private readonly string _runId;
    private readonly Roster _roster;
    private readonly List<FileStream> _files = [];
    private readonly List<SignedMessage> _headers = [];
    private readonly byte[] _set;
    private readonly string _seconds;
    private readonly List<ActiveSet> _asked = [];
    private readonly HashSet<string> _lost = [], _refused = [];
    private readonly DateTimeOffset _since;

    /// <param name="contributions">Sites and their spooled, checked files.</param>
    public OpeningSession(RunContext context, string runId, SiteRound round, Roster roster, IReadOnlyList<(string Site, string Path)> contributions)
    {
        (_context, _runId, _roster, Round, _since) = (context, runId, roster, round, context.Steady.GetUtcNow());
        try
        {
            using BlobStore.NewBlob seconds = context.Blobs.Create();
            long body = ContributionFile.BodyBytes(round);
            foreach ((_, string path) in contributions)
            {
                var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
                _files.Add(file);
                byte[] header = new byte[file.Length - body];
                file.Position = body;
                file.ReadExactly(header);
                _headers.Add(SignedMessage.Decode(header));
            }

            Sum = new(round, _files);
            for (int i = 0; i < _files.Count; i++) seconds.Stream.Write(Sum.Second(i));
            _seconds = seconds.Keep();
            _set = ContributionHeader.SetHash(_headers.Select(header => ContributionHeader.Decode(header.Body.Span)));
        }
        catch
        {
            foreach (FileStream file in _files) file.Dispose();
            throw;
        }
    }

    public SiteRound Round { get; }

    public ContributionSum Sum { get; }

    /// <summary>Members that said their share is gone.</summary>
    public IReadOnlyCollection<string> Lost => _lost;

    public int Contributions => _files.Count;

    /// <summary>How long it has been waited for.</summary>
    public TimeSpan Age => _context.Steady.GetUtcNow() - _since;

    /// <summary>How it was opened; null: it is not yet.</summary>
    public RoundOpening? Report { get; private set; }

    /// <summary>Whose contributions they are.</summary>
    public IReadOnlyList<string> Sites => [.. _headers.Select(header => header.Site)];

    /// <summary>Sets of members that were asked so far.</summary>
    public int SetsAsked => _asked.Count;

    private EpochCertificate Certificate => Round.Certificate;

    /// <summary>What a member is asked for; null: nothing.</summary>
    public OpenTask? TaskFor(string site)
    {
        int member = MemberOf(site);
        ActiveSet? set = _asked.FirstOrDefault(asked => CanComplete(asked) && asked.Members.Contains(member) && !asked.Answers.ContainsKey(member));
        return set is null ? null : new OpenTask { RunId = _runId, RequestSha256 = set.Request, SecondsSha256 = _seconds };
    }

    /// <summary>A member's answer, or why it gives none.</summary>
    /// <returns>A line for the run's log; empty: none.</returns>
    /// <exception cref="ProtocolException">The member was not asked for this.</exception>
    public string Receive(string site, V1.OpeningAnswer message)
    {
        int member = MemberOf(site);
        ActiveSet? set = _asked.FirstOrDefault(asked => asked.Request == message.RequestSha256);
        if (set is null || !set.Members.Contains(member)) throw new ProtocolException(Refusal.WrongActiveSet, $"'{site}' was not asked for this opening.");
        if (message.ShareLost)
        {
            return !_lost.Add(site) ? "" : $"{site} holds no share of epoch {Certificate.Descriptor.Epoch} any more: {message.Refusal}";
        }

        if (message.Refusal.Length > 0)
        {
            set.Refused.Add(member);
            return !_refused.Add(site) ? "" : $"{site} refuses to open the {Round.Opening}: {message.Refusal}";
        }

        try
        {
            var answer = new SignedOpeningAnswer(SignedMessage.Decode(message.Answer.Span), message.Part.ToByteArray());
            Privacy.SecureAggregation.OpeningAnswer said = answer.Verify(Certificate, _roster);
            if (said.Index != member || said.Opening != Round.Opening || !said.Set.AsSpan().SequenceEqual(_set) || !said.Active.SequenceEqual(set.Members)) throw new ProtocolException(Refusal.AnotherOpening, "it is for another opening or another set.");
            Keep(site, said, answer.Message); // first: the member sends an answer that could not be kept again
            set.Answers[member] = answer;
            return "";
        }
        catch (Exception wrong) when (wrong is ProtocolException or FormatException)
        {
            set.Refused.Add(member); // it would only give the same again: others are asked
            return !_refused.Add(site) ? "" : $"The answer of {site} to the {Round.Opening} does not hold: {wrong.Message}";
        }
    }

    /// <summary>Names a set of members where none is complete or can become so.</summary>
    /// <returns>What can be opened now; null: nothing yet.</returns>
    public Plaintext? Advance(Func<string, bool> isLive)
    {
        foreach (ActiveSet set in _asked.Where(set => !set.IsWrong && set.Answers.Count == set.Members.Length))
        {
            if (TryOpen(set) is not { } opened) continue;
            byte[] transcript = OpeningTranscriptFile.Encode(Request(set.Members), [.. set.Answers.Values.Select(answer => answer.Message)]);
            _context.Store.AddTranscript(new TranscriptRecord(_runId, TranscriptRecord.Opening, (int)Round.Opening.Round, (int)Round.Opening.Epoch, transcript));
            Report = new((int)Round.Opening.Epoch, [.. set.Members.Select(NameOf)], 0, _files.Sum(file => file.Length), (_context.Steady.GetUtcNow() - _since).TotalSeconds, 0, Sha256Hex.Of(transcript));
            return opened;
        }

        DateTimeOffset now = _context.Steady.GetUtcNow();
        if (_asked.Any(set => CanComplete(set) && now < set.Until && set.Members.All(member => set.Answers.ContainsKey(member) || isLive(NameOf(member))))) return null;
        Name(isLive, now);
        return null;
    }

    /// <summary>Why the sum can never be opened: fewer than t members hold a share, or those that are there do not answer and nobody else can be asked. Null: it can.</summary>
    public string? Hopeless(Func<string, bool> isLive)
    {
        int threshold = Certificate.Descriptor.Threshold, left = Certificate.Qualified.Count(Can);
        if (left < threshold) return $"{left} members hold shares of epoch {Certificate.Descriptor.Epoch}; {threshold} are needed ({string.Join(", ", _lost.Order(StringComparer.Ordinal))} lost theirs).";
        DateTimeOffset now = _context.Steady.GetUtcNow();
        if (_asked.Any(set => CanComplete(set) && (now < set.Until + LastPatience || set.Members.Any(member => !set.Answers.ContainsKey(member) && !isLive(NameOf(member)))))) return null;
        int[] able = [.. Certificate.Qualified.Where(MayBeAsked)];
        if (Next(able) is not null) return null;
        string what = able.Length < threshold ? $"{able.Length} members can still answer; {threshold} are needed." : $"The {able.Length} members that could still answer were asked and are there, and not all of them answered.";
        return $"{what} {_asked.Count} sets of members were asked, {_asked.Count(set => set.IsWrong)} gave answers that open nothing, {_refused.Count} members refused.";
    }

    /// <summary>Why the sum cannot be opened now: too few members that can answer are connected, or those that are have been asked as often as they answer and others are away. Null: it goes on.</summary>
    public string? Missing(Func<string, bool> isLive)
    {
        int threshold = Certificate.Descriptor.Threshold;
        string[] able = [.. Certificate.Qualified.Where(member => Can(member) && !_refused.Contains(NameOf(member))).Select(NameOf)], there = [.. able.Where(isLive)];
        string away = $"{Named("Not connected", able.Except(there))}{Named("Refused", _refused)}{Named("Without a share", _lost)}";
        if (there.Length < threshold) return $"Opening the {Round.Opening} needs {threshold} members; {there.Length} that can are connected.{away}";
        DateTimeOffset now = _context.Steady.GetUtcNow();
        bool goesOn = there.Length == able.Length || Next([.. Certificate.Qualified.Where(member => MayBeAsked(member) && isLive(NameOf(member)))]) is not null
            || _asked.Any(set => CanComplete(set) && now < set.Until + LastPatience && set.Members.All(member => set.Answers.ContainsKey(member) || isLive(NameOf(member))));
        return goesOn ? null : $"Of the {there.Length} members that are connected no {threshold} can be asked any more to open the {Round.Opening}.{away}";

        static string Named(string what, IEnumerable<string> sites) => sites.Order(StringComparer.Ordinal).ToArray() is { Length: > 0 } some ? $" {what}: {string.Join(", ", some)}." : "";
    }

    /// <summary>Removes what only this opening needed.</summary>
    public void Dispose()
    {
        foreach (FileStream file in _files) file.Dispose();
        foreach (string blob in _asked.Select(set => set.Request).Append(_seconds)) _context.Blobs.Delete(blob);
    }

    /// <summary>Null: one of these answers is wrong, and nobody can say which; others are asked.</summary>
    private Plaintext? TryOpen(ActiveSet set)
    {
        try
        {
            return OpeningSum.Open(Certificate, _roster, Round.Opening, Sum.Keys(), _files.Count, _set, set.Members, set.Answers.Values);
        }
        catch (ProtocolException wrong)
        {
            set.IsWrong = true;
            _context.Logger.LogWarning("{Run}: the answers of {Members} do not open the sum. {Message}", _runId, string.Join(", ", set.Members.Select(NameOf)), wrong.Message);
            return null;
        }
    }

    /// <summary>What a member is shown when it joins: how far its record had come. Under one key the furthest; under another the newest, because a member that lost its record counts anew with its next share.</summary>
    private void Keep(string site, Privacy.SecureAggregation.OpeningAnswer said, SignedMessage message)
    {
        if (_context.Store.KeptAnswer(site) is { } bytes)
        {
            Privacy.SecureAggregation.OpeningAnswer kept = Privacy.SecureAggregation.OpeningAnswer.Decode(SignedMessage.Decode(bytes).Body.Span);
            if (kept.Certificate.AsSpan().SequenceEqual(said.Certificate) && kept.RecordCount > said.RecordCount) return;
        }

        _context.Store.KeepAnswer(site, said.RecordCount, message.Encode());
    }

    /// <summary>Nobody of it has refused or lost its share, and its answers, if all came, are not known to be wrong. Others are not asked for it: a member answers three sets at most.</summary>
    private bool CanComplete(ActiveSet set) => !set.IsWrong && set.Refused.Count == 0 && set.Members.All(Can);

    private bool Can(int member) => !_lost.Contains(NameOf(member));

    private void Name(Func<string, bool> isLive, DateTimeOffset now)
    {
        if (Next([.. Certificate.Qualified.Where(member => MayBeAsked(member) && isLive(NameOf(member)))]) is not { } members) return;
        using BlobStore.NewBlob request = _context.Blobs.Create();
        request.Stream.Write(Request(members).Encode());
        _asked.Add(new ActiveSet([.. members], request.Keep(), now + Patience));
    }

    /// <summary>Has not refused, and is in fewer sets than a member answers for.</summary>
    private bool MayBeAsked(int member) => Can(member) && !_refused.Contains(NameOf(member)) && SetsOf(member) < 3;

    private int SetsOf(int member) => _asked.Count(set => set.Members.Contains(member));

    /// <summary>The set to ask next; null: too few members, or the one that has been asked.</summary>
    private int[]? Next(int[] candidates)
    {
        int threshold = Certificate.Descriptor.Threshold, count = Certificate.Descriptor.Members.Count;
        if (candidates.Length < threshold) return null;
        // Another order in each round: where three sets cannot leave out every member in turn, a lying one is left out in a later round.
        int[] members = [.. candidates.OrderBy(SetsOf).ThenBy(member => (member + count - (int)(Round.Opening.Round % (ulong)count)) % count).Take(threshold).Order()];
        return _asked.Any(set => set.Members.SequenceEqual(members)) ? null : members;
    }

    private OpeningRequest Request(IReadOnlyList<int> members) => new(Round.Opening, Round.Descriptor, _headers, members);

    private int MemberOf(string site)
    {
        int index = Certificate.Descriptor.Members.ToList().IndexOf(site) + 1;
        return Certificate.Qualified.Contains(index) ? index : 0;
    }

    private string NameOf(int member) => Certificate.Descriptor.Members[member - 1];

    private sealed record ActiveSet(ImmutableArray<int> Members, string Request, DateTimeOffset Until)
    {
        public SortedDictionary<int, SignedOpeningAnswer> Answers { get; } = [];

        public HashSet<int> Refused { get; } = [];

        public bool IsWrong { get; set; }
    }
}
