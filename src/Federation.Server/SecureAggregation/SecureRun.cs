using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Federation.Formats.Runs;
using Federation.Formats.Statistics;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.V1;
using Google.Protobuf;
using Opening = Federation.Privacy.SecureAggregation.Opening;
using Roster = Federation.Privacy.SecureAggregation.Roster;
using RunEvent = Federation.Server.Runs.RunEvent;

namespace Federation.Server.SecureAggregation;

/// <summary>The secure side of one run: makes key epochs, says what each round's contributions are made for, has closed sums opened. Changes nothing of the run's state but through its events.</summary>
#pragma warning disable CA1001 // an opening is disposed when it ends
internal sealed class SecureRun(RunContext context, RunHost run)
#pragma warning restore CA1001
{
    private readonly Lock _lock = new();
    private readonly OpenedSums _sums = new(context, run);
    private MakeKeys? _wanted;
    private DateTimeOffset _notBefore = DateTimeOffset.MinValue;
    private string _said = "", _identities = "";
    private EpochSession? _epoch;
    private RunEvent? _ended; // how an attempt at an epoch ended, until that is stored
    private OpeningSession? _opening;
    private (string Sha256, EpochCertificate Certificate, Roster Roster)? _keys;

    /// <summary>Changes whenever there is something new to ask of members.</summary>
    private int Asked
    {
        get
        {
            lock (_lock) return (_epoch?.StepsAsked ?? 0) + (_opening?.SetsAsked ?? 0);
        }
    }

    private SecureAggregationSpec Spec => run.Spec.SecureAggregation!;

    /// <summary>Whether a contribution travels in one key ciphertext.</summary>
    public bool IsDirect => run.Spec.Statistics is not null || SecureEncoding.IsDirect(Values + SiteClip.Votes(run.Spec.Privacy));

    private int Values => run.UpdateShape.Values;

    /// <summary>Begins an attempt at an epoch as soon as enough members are there.</summary>
    public void Begin(MakeKeys wanted)
    {
        lock (_lock)
        {
            _epoch?.Drop();
            (_wanted, _epoch, _ended) = (wanted, null, null);
        }
    }

    /// <summary>Begins the opening of a closed round's sum.</summary>
    /// <param name="sites">Who contributed.</param>
    public void Open(int number, IEnumerable<string> sites, string purpose)
    {
        SiteRound round = RoundOf(run.State, number, purpose);
        if (run.Spec.Statistics is not null && TooNear([.. sites]) is { } reason)
        {
            run.Apply(new OpeningLost(number, reason, run.State.ModelSha256, IsAsked: false));
            return;
        }

        lock (_lock)
        {
            _opening?.Dispose();
            _opening = new(context, run.Id, round, KeysOf(run.State).Roster, [.. sites.Select(site => (site, context.Spool.PathOf(run.Id, number, site)))]);
        }
    }

    private string? TooNear(IReadOnlyCollection<string> sites)
    {
        try
        {
            OpenedSets.Require(context.Store, sites, run.Spec.Cohort.MinContributors);
            return null;
        }
        catch (ProtocolException near)
        {
            return near.Message;
        }
    }

    /// <summary>Nothing is opened or made any more.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _epoch?.Drop();
            _opening?.Dispose();
            (_wanted, _epoch, _ended, _opening) = (null, null, null, null);
        }
    }

    /// <summary>What a committee member should do; null: nothing.</summary>
    public NodeTask? TaskFor(string site)
    {
        lock (_lock)
        {
            if (_epoch?.TaskFor(site) is { } step) return new NodeTask { Epoch = step };
            return _opening?.TaskFor(site) is { } open ? new NodeTask { Open = open } : null;
        }
    }

    /// <exception cref="ProtocolException">The message is not what is waited for.</exception>
    /// <exception cref="FormatException">Its bytes are none.</exception>
    public void Receive(string site, EpochMessage message)
    {
        lock (_lock)
        {
            if (_epoch is null) throw new ProtocolException(Refusal.UnexpectedMessage, "No keys are being made.");
            _epoch.Receive(site, message);
        }

        Advance();
    }

    /// <inheritdoc cref="Receive(string, EpochMessage)"/>
    public void Receive(string site, V1.OpeningAnswer answer)
    {
        string said;
        lock (_lock)
        {
            if (_opening is null) throw new ProtocolException(Refusal.UnexpectedMessage, "Nothing is being opened.");
            said = _opening.Receive(site, answer);
        }

        if (said.Length > 0 && (!answer.ShareLost || run.Apply(new ShareLost(site, said)).Duplicate)) run.Say(new Announce(RunLog.Refused, said, run.State.Round, site));
        Advance();
    }

    /// <summary>Time went by, or a message came.</summary>
    public void Advance()
    {
        int before = Asked;
        if (AdvanceEpoch(out string waits) is { } ended)
        {
            run.Apply(ended);
            lock (_lock)
            {
                if (ReferenceEquals(_ended, ended)) _ended = null;
            }
        }

        if (waits.Length > 0 && waits != _said) run.Say(new Announce(RunLog.Waiting, _said = waits, run.State.Round));
        AdvanceOpening();
        if (Asked != before) context.Signal.Raise(); // members wait for something to do
    }

    /// <summary>What a site contributes to, for its task.</summary>
    public V1.SecureRound Describe(RunState state, string purpose) => new()
    {
        Epoch = (ulong)state.Keys!.Epoch,
        Descriptor_ = ByteString.CopyFrom(DescriptorOf(state, purpose).Encode()),
        Purpose = purpose,
        CertificateSha256 = state.Keys.CertificateSha256,
        RosterSha256 = state.Keys.RosterSha256,
        TestSha256 = state.Keys.TestSha256,
    };

    /// <summary>What contributions of a round are checked against.</summary>
    /// <exception cref="InvalidOperationException">No round is open or being opened.</exception>
    public SiteRound RoundOf(RunState state, int round, string purpose) => new(new Opening(run.Id, (ulong)state.Keys!.Epoch, (ulong)round, purpose), DescriptorOf(state, purpose), KeysOf(state).Certificate);

    /// <summary>What sites contribute to in the phase that the run is in.</summary>
    public string PurposeOf(RunState state) => state.Phase is Evaluating ? Opening.Evaluation : run.Spec.Statistics is null ? Opening.Update : StatisticsQuery.Of(run.Spec, run.Schema!).Purpose;

    public Roster RosterOf(RunState state) => KeysOf(state).Roster;

    public EpochCertificate CertificateOf(RunState state) => KeysOf(state).Certificate;

    private RoundDescriptor DescriptorOf(RunState state, string purpose)
    {
        ImmutableSortedSet<string> cohort = state.Phase switch
        {
            RoundOpen open => open.Cohort,
            Aggregating closed => closed.Cohort,
            Evaluating { Asked: { } asked } => asked,
            _ => throw new InvalidOperationException($"No round is open; the run is {state.PhaseName}."),
        };
        byte[] spec = RoundDescriptor.HashOf(run.Record.SpecYaml);
        UpdateEncoding? encoding = purpose == Opening.Update ? SecureEncoding.Of(run.Spec, Values, cohort.Count, state.SiteClip) : null;
        return new(spec, Convert.FromHexString(state.ModelSha256), [.. cohort], run.Spec.Cohort.MinContributors, SecureEncoding.MaxColluding(run.Spec), SecureEncoding.Weights(run.Spec), RoundDescriptor.HashOf(run.Record.SchemaYaml), encoding);
    }

    private (string Sha256, EpochCertificate Certificate, Roster Roster) KeysOf(RunState state)
    {
        lock (_lock)
        {
            string sha256 = state.Keys!.CertificateSha256;
            if (_keys?.Sha256 != sha256) _keys = (sha256, EpochCertificate.Decode(Read(sha256)), Roster.Decode(Read(state.Keys.RosterSha256)));
            return _keys.Value;
        }
    }

    private byte[] Read(string sha256)
    {
        using FileStream file = context.Blobs.Open(sha256);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }

    private RunEvent? AdvanceEpoch(out string waits)
    {
        waits = "";
        lock (_lock)
        {
            if (_ended is not null) return _ended;
            if (_epoch is null && _wanted is not null) waits = Start(_wanted) ?? "";
            if (_epoch?.Advance(context.Sessions.IsLive) is not { } ended) return null;
            _epoch.Drop();
            (_epoch, _wanted) = (null, null);
            return _ended = ended is EpochMade made ? made with { Keys = made.Keys with { Identities = _identities } } : ended;
        }
    }

    /// <returns>Why the attempt cannot begin yet; null: it has begun, or waits a while after the one before.</returns>
    private string? Start(MakeKeys wanted)
    {
        if (context.Steady.GetUtcNow() < _notBefore) return null;
        _identities = context.Sessions.Roster().Identities; // before the roster: a site that comes in between makes the next round ask for new keys
        Roster roster = RosterBook.Current(context);
        int threshold = SecureEncoding.ThresholdOf(Spec, roster.Sites.Count);
        if (roster.Sites.Count < threshold) return $"Keys need {threshold} members, and {roster.Sites.Count} sites are enrolled that train: enrol more, or cancel the run and submit it with a lower `threshold`.";
        string[] able = [.. roster.Sites.Keys.Where(site => run.State.Sites.GetValueOrDefault(site)?.Standing != SiteStanding.Awaiting)];
        if (able.Length < threshold) return $"Keys need {threshold} members.{SiteRules.Waiting(run.State)}";
        string[] members = SecureRules.Committee(able, wanted, threshold);
        int there = members.Count(context.Sessions.IsLive);
        if (there < threshold) return $"Keys need {threshold} members to be connected; {there} of {members.Length} sites are.";
        if (members.Length > CommitteePolicy.LargestCommittee)
        {
            RandomNumberGenerator.Shuffle(members.AsSpan());
            members = [.. members.OrderByDescending(context.Sessions.IsLive).Take(CommitteePolicy.LargestCommittee).Order(StringComparer.Ordinal)];
        }

        // Whatever keeps failing is tried less and less often.
        _notBefore = context.Steady.GetUtcNow() + TimeSpan.FromSeconds(wanted.Attempt == 0 ? 0 : Math.Min(60, 1 << Math.Min(wanted.Attempt, 6)));
        _epoch = new(context, run.Id, new(roster.Hash, (ulong)wanted.Epoch, (ulong)wanted.Attempt, threshold, members), roster, new CommitteePolicy(lyingOrRestored: 0), wanted.HasFormer);
        return null;
    }

    private void AdvanceOpening()
    {
        OpeningSession? session;
        Plaintext? opened;
        string? hopeless = null;
        string waits = "";
        lock (_lock)
        {
            if (_opening is null) return;
            session = _opening;
            opened = session.Advance(context.Sessions.IsLive);
            if (opened is not null) _opening = null; // this call alone goes on with it
            else if ((hopeless = session.Hopeless(context.Sessions.IsLive)) is not null) _opening = null;
            else if (session.Missing(context.Sessions.IsLive) is { } missing)
            {
                if (run.State.Plan.AbortOnLoss && session.Age >= run.Spec.Cohort.Deadline) (hopeless, _opening) = (missing, null);
                else if (missing != _said) waits = _said = missing;
            }
        }

        if (waits.Length > 0) run.Say(new Announce(RunLog.Waiting, waits, run.State.Round));

        int round = (int)session.Round.Opening.Round;
        if (opened is not null) run.InBackground(round, () => run.Apply(_sums.Decode(session, opened)));
        else if (hopeless is not null) run.InBackground(round, () => run.Apply(_sums.Lose(session, hopeless)));
    }
}
