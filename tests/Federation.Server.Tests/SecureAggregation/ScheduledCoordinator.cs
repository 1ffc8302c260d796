using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Federation.Formats.Evaluation;
using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;
using Federation.Server.SecureAggregation;
using Contribution = Federation.Server.Runs.Contribution;
using Opening = Federation.Privacy.SecureAggregation.Opening;
using RunEvent = Federation.Server.Runs.RunEvent;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>The coordinator's process around the run's state machine: stores each state before it acts on it, and after a death begins from what is stored.</summary>
internal sealed class ScheduledCoordinator(RunSchedule schedule, RunPlan plan) : IDisposable
{
    public const string Run = "run";

    private readonly Dictionary<string, EpochCertificate> _certificates = []; // by name in the state; durable
    private readonly List<string> _blobs = [], _models = [];
    private readonly Dictionary<string, DateTimeOffset> _heard = [];
    private string _stored = JsonSerializer.Serialize(RunState.Submitted(plan, Convert.ToHexStringLower(SHA256.HashData("initial"u8)), schedule.Now));
    private RunState? _state;
    private DateTimeOffset _started, _keysNotBefore = DateTimeOffset.MinValue;
    private MakeKeys? _wanted;
    private EpochSession? _epoch;
    private OpeningSession? _opening;
    private int _life;
    private bool _isUp = true;

    /// <summary>Dies as soon as the next change is stored.</summary>
    public bool KillNext { get; set; }

    public RunState State => _state ??= JsonSerializer.Deserialize<RunState>(_stored)!;

    public bool IsOver => _isUp && State.IsOver;

    /// <summary>Whom an opening waits for, and since when; null: for nobody that is away.</summary>
    public (string For, DateTimeOffset Since)? Waits { get; private set; }

    /// <summary>Every model that there was, the newest last.</summary>
    public IReadOnlyList<string> Models => _models;

    public void Beat()
    {
        if (!_isUp) return;
        Apply(new Tick());
        Advance();
    }

    public void Kill()
    {
        if (!_isUp) return;
        schedule.Say("coordinator dies");
        Drop();
        (_isUp, _state, KillNext) = (false, null, false);
        int life = ++_life;
        schedule.In(schedule.Random.Next(1, 45), () =>
        {
            if (life != _life) return;
            (_isUp, _started) = (true, schedule.Now);
            _heard.Clear();
            schedule.Say($"coordinator starts: {State.PhaseName}");
            int over = State.IsOver ? State.Round : State.Round - 1;
            if (over > 0) CarryOut(new DropUploads(over));
            if (State.Phase is MakingKeys making) Apply(new EpochFailed(making.Epoch, making.Attempt, "The coordinator restarted.", [.. making.Dropped], Restarted: true));
            if (State.Phase is Aggregating closed) CarryOut(new Aggregate(State.Round, closed.Contributions));
            if (State.Phase is Evaluating { Closed: true, Encrypted: { } encrypted }) CarryOut(new OpenEvaluation(State.Round, encrypted));
        });
    }

    /// <summary>The operator pauses the run, and lets it go on when the coordinator is there after so long.</summary>
    public void PauseFor(double seconds)
    {
        schedule.In(seconds, Resume);
        if (_isUp) Apply(new PauseRequested(Pause.ByName));

        void Resume()
        {
            if (!_isUp) schedule.In(5, Resume);
            else Apply(new ResumeRequested(WithAll: false));
        }
    }

    /// <summary>A node has started.</summary>
    /// <returns>Whether anybody is there, and the site's own answer that was kept.</returns>
    public (bool IsThere, byte[]? Kept) Join(string site)
    {
        if (!_isUp) return (false, null);
        _heard[site] = schedule.Now;
        Apply(new SiteJoined(site));
        return (true, schedule.IsCoordinatorLying && schedule.Random.Next(2) == 0 ? null : schedule.Context.Store.KeptAnswer(site));
    }

    public SiteTask? TaskFor(string site)
    {
        if (!_isUp) return null;
        _heard[site] = schedule.Now;
        RunState state = State;
        if (state.IsOver) return null;
        if (_epoch?.TaskFor(site) is { } step) return new EpochStepTask(step);
        if (_opening?.TaskFor(site) is { } open) return new AnswerTask(open.RequestSha256, Read(open.RequestSha256), [.. Read(open.SecondsSha256).Chunk((int)ContributionFile.BodyBytes(_opening.Round) / 2)]);
        if (state.Sites[site].Standing == SiteStanding.Checking) return new CheckTask();
        bool isAsked = state.Phase is Evaluating { Closed: false } evaluating ? evaluating.Pending.Contains(site) : state.Phase is RoundOpen open2 && open2.Cohort.Contains(site) && !open2.Contributions.ContainsKey(site) && !open2.Failed.Contains(site);
        return isAsked ? new ContributeTask(RoundOf(state), state.ModelSha256) : null;
    }

    public void Ready(string site) => Hear(site, () => Apply(new SiteAnswered(site, [])));

    public void Failed(string site, int round, string reason) => Hear(site, () => Apply(new SiteFailed(site, round, reason)));

    public void Receive(string site, V1.EpochMessage message) => Hear(site, () =>
    {
        if (_epoch is null) throw new ProtocolException(Refusal.UnexpectedMessage, "No keys are being made.");
        _epoch.Receive(site, message);
        Advance();
    });

    public void Receive(string site, V1.OpeningAnswer answer) => Hear(site, () =>
    {
        if (_opening is null) throw new ProtocolException(Refusal.UnexpectedMessage, "Nothing is being opened.");
        if (_opening.Receive(site, answer) is { Length: > 0 } said)
        {
            schedule.Say(said);
            if (answer.ShareLost) Apply(new ShareLost(site, said));
        }

        if (answer.ShareLost && _opening.TaskFor(site) is not null) schedule.Rules.Break($"{site} has no share, and is asked to open with it");
        Advance();
    });

    /// <summary>An upload, or what arrived of it.</summary>
    public void Receive(string site, int round, string model, byte[] file) => Hear(site, () =>
    {
        string sha256 = Sha256Hex.Of(file);
        if (RunMachine.RefusalOf(State, site, round, model, sha256, schedule.Now) is var (_, reason)) throw new ProtocolException(Refusal.UnexpectedMessage, reason);
        if (RunMachine.Counted(State)!.ContainsKey(site)) return;
        using (var stream = new MemoryStream(file)) ContributionFile.Check(stream, file.Length, RoundOf(State), schedule.Federation.Roster, site);
        schedule.Context.Spool.Delete(Run, round, site);
        using (FileStream spooled = schedule.Context.Spool.Append(Run, round, site)) spooled.Write(file);
        var counted = new Contribution(sha256, 0);
        Apply(State.Phase is Evaluating ? new EvaluationSealed(site, round, counted) : new UpdateArrived(site, round, model, counted));
    });

    public void Dispose()
    {
        Drop();
        foreach (string blob in _blobs) schedule.Context.Blobs.Delete(blob);
    }

    /// <summary>What is contributed to in the phase that a run is in.</summary>
    public SiteRound RoundOf(RunState state)
    {
        bool evaluates = state.Phase is Evaluating;
        ImmutableSortedSet<string> cohort = state.Phase switch { RoundOpen open => open.Cohort, Aggregating closed => closed.Cohort, Evaluating { Asked: { } asked } => asked, _ => throw new InvalidOperationException(state.PhaseName) };
        var opening = new Opening(Run, (ulong)state.Keys!.Epoch, (ulong)state.Round, evaluates ? Opening.Evaluation : Opening.Update);
        return new(opening, Describe(state.ModelSha256, cohort), _certificates[state.Keys.CertificateSha256]);
    }

    public static RoundDescriptor Describe(string model, IReadOnlyCollection<string> cohort) => new(new byte[32], Convert.FromHexString(model), [.. cohort], CommitteePolicy.FewestContributors, 0, WeightRule.One, new byte[32], null);

    private void Hear(string site, Action hear)
    {
        if (!_isUp) return;
        _heard[site] = schedule.Now;
        try
        {
            hear();
        }
        catch (Exception refused) when (refused is ProtocolException or FormatException)
        {
            schedule.Say($"coordinator refuses {site}: {refused.Message}");
        }
    }

    private bool IsLive(string site) => schedule.Now - (_heard.TryGetValue(site, out DateTimeOffset heard) ? heard : _started) < Sessions.Patience;

    private void Apply(RunEvent happened)
    {
        var all = schedule.Federation.Sites.ToHashSet();
        Transition transition = RunMachine.Apply(State, happened, new(all, all.Where(IsLive).ToHashSet(), "same"), schedule.Now);
        if (transition.Refused is { } refusal) schedule.Say($"{happened.GetType().Name}: {refusal} {transition.Reason}");
        if (transition.Refused is not null || ReferenceEquals(transition.State, State)) return;
        _stored = JsonSerializer.Serialize(transition.State);
        if (_models.LastOrDefault() != transition.State.ModelSha256) _models.Add(transition.State.ModelSha256);
        if (KillNext) throw new CoordinatorKilledException();
        _state = transition.State;
        if (State.IsOver) Drop();
        foreach (RunEffect effect in transition.Effects) CarryOut(effect);
    }

    private void CarryOut(RunEffect effect)
    {
        switch (effect)
        {
            case Announce { Kind: RunLog.KeysMade } made:
                schedule.Say($"{made.Kind} for round {made.Round + 1}"); // its message names a hash of keys
                break;
            case Announce said:
                schedule.Say($"{said.Kind} {said.Message}");
                break;
            case Aggregate aggregate:
                Open(aggregate.Contributions);
                break;
            case OpenEvaluation evaluation:
                Open(evaluation.Contributions);
                break;
            case MakeKeys keys:
                _epoch?.Drop();
                (_wanted, _epoch) = (keys, null);
                break;
            case StopKeys:
                Drop();
                break;
            case DropUploads drop:
                schedule.Context.Spool.DropRounds(Run, drop.Round);
                break;
        }
    }

    private void Open(ImmutableSortedDictionary<string, Contribution> contributions)
    {
        if (contributions.Count < State.Plan.MinContributors) schedule.Rules.Break($"{contributions.Count} contributions are closed for an opening");
        _opening?.Dispose();
        _opening = new OpeningSession(schedule.Context, Run, RoundOf(State), schedule.Federation.Roster, [.. contributions.Keys.Select(site => (site, schedule.Context.Spool.PathOf(Run, State.Round, site)))]);
        Advance();
    }

    private void Advance()
    {
        if (_epoch is null && _wanted is not null) Begin(_wanted);
        if (_epoch?.Advance(IsLive) is { } ended)
        {
            _epoch.Drop();
            (_epoch, _wanted) = (null, null);
            Apply(ended is EpochMade made ? Keep(made) : ended);
        }

        if (_opening?.Advance(IsLive) is { } opened)
        {
            Waits = null;
            using (opened) Conclude(_opening, opened);
        }
        else if (_opening?.Hopeless(IsLive) is { } hopeless)
        {
            (int round, bool evaluates) = ((int)_opening.Round.Opening.Round, _opening.Round.Opening.Purpose == Opening.Evaluation);
            Drop();
            Waits = null;
            Apply(evaluates ? new EvaluationOpened(round, null, hopeless) : new OpeningLost(round, hopeless, Free(State.ModelSha256)));
        }
        else Wait(_opening?.Missing(IsLive));
    }

    private void Wait(string? forWhom)
    {
        if (forWhom == Waits?.For) return;
        Waits = forWhom is null ? null : (forWhom, schedule.Now);
        schedule.Say(forWhom ?? "nobody is waited for any more");
    }

    private void Conclude(OpeningSession session, Plaintext opened)
    {
        (int round, bool evaluates) = ((int)session.Round.Opening.Round, session.Round.Opening.Purpose == Opening.Evaluation);
        ulong[] sum = opened.Coefficients[..schedule.Federation.Sites.Length].ToArray();
        schedule.Say($"opened {session.Round.Opening.Purpose} of round {round}: {string.Join(" ", sum)}");
        schedule.Rules.Opened(session.Round.Opening, RunMachine.Counted(State)!, sum);
        if (schedule.Strikes(20)) throw new CoordinatorKilledException(); // it is opened again
        session.Dispose();
        _opening = null;
        if (evaluates) Apply(new EvaluationOpened(round, new EvaluationSums { Examples = 1, Correct = 1, LogLossSum = 0, BrierSum = 0 }));
        else Apply(new Aggregated(round, Free(schedule.Random.Next(4) == 0 ? _models[schedule.Random.Next(_models.Count)] : Hash($"{State.ModelSha256} {string.Join(' ', sum)}")))); // at times the sum is zero, or leads back to an earlier model
    }

    private void Begin(MakeKeys wanted)
    {
        if (schedule.Now < _keysNotBefore) return;
        ScheduleFederation federation = schedule.Federation;
        if (federation.Sites.Count(IsLive) < federation.Threshold) return;
        if (schedule.MakesKeys)
        {
            _keysNotBefore = schedule.Now + TimeSpan.FromSeconds(wanted.Attempt == 0 ? 0 : Math.Min(60, 1 << wanted.Attempt));
            _epoch = new EpochSession(schedule.Context, Run, federation.Descriptor(wanted.Epoch, wanted.Attempt, SecureRules.Committee(federation.Sites, wanted, federation.Threshold)), federation.Roster, new CommitteePolicy(lyingOrRestored: 0), wanted.HasFormer);
            return;
        }

        _wanted = null;
        string name = $"prepared before, {wanted.Epoch}";
        (EpochCertificate certificate, CommitteeShare[] shares) = federation.Made(wanted.Epoch);
        _certificates[name] = certificate;
        foreach (ScheduledSite site in schedule.Sites.Where(site => site.IsUp)) site.Keep(certificate, shares[site.Index]);
        Apply(new EpochMade(wanted.Attempt, new EpochKeys(wanted.Epoch, name, "", "", "same", 0), schedule.Sites.Count(site => site.IsUp), federation.Threshold));
    }

    private EpochMade Keep(EpochMade made)
    {
        string sha256 = made.Keys.CertificateSha256;
        _certificates[sha256] = EpochCertificate.Decode(Read(sha256), schedule.Federation.Parameters);
        _blobs.AddRange([sha256, made.Keys.TestSha256]);
        return made with { Keys = made.Keys with { Identities = "same" } };
    }

    private void Drop()
    {
        _epoch?.Drop();
        _opening?.Dispose();
        (_wanted, _epoch, _opening) = (null, null, null);
    }

    private byte[] Read(string sha256)
    {
        using FileStream file = schedule.Context.Blobs.Open(sha256);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }

    private string Free(string sha256) => ModelNames.Free(sha256, _models.Append(State.ModelSha256).ToHashSet(), change => Hash($"{sha256} {change}"));

    private static string Hash(string text) => Sha256Hex.Of(Encoding.UTF8.GetBytes(text));
}
