using System.Text.Json;
using Federation.Formats.Runs;
using Federation.Server.Runs;

namespace Federation.Server.Tests.Runs;

/// <summary>Drives a run's state machine by hand: a clock, the sites that are there, and what every event led to.</summary>
internal sealed class Scenario
{
    public static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    public static readonly string Initial = Model(0);

    private readonly HashSet<string> _trainers, _live;
    private readonly Dictionary<string, IReadOnlyDictionary<string, string>> _labels = [];

    public Scenario(int rounds = 2, int least = 2, string[]? sites = null, string[]? asked = null, int? evaluateEvery = null, SignedSubmission? submission = null, Func<RunPlan, RunPlan>? with = null)
    {
        _trainers = [.. sites ?? ["a", "b", "c"]];
        _live = [.. _trainers];
        var plan = new RunPlan(rounds, least, TimeSpan.FromMinutes(10), asked, evaluateEvery);
        State = RunState.Submitted(with?.Invoke(plan) ?? plan, Initial, Start, submission);
    }

    public RunState State { get; private set; }

    public DateTimeOffset Now { get; private set; } = Start;

    public List<RunEffect> Effects { get; } = [];

    public IEnumerable<string> Said => Effects.OfType<Announce>().Select(said => said.Kind);

    /// <summary>A made-up model id.</summary>
    public static string Model(int number) => number.ToString("x64");

    /// <summary>The coordinator begins from what it has stored.</summary>
    public void Restart() => State = JsonSerializer.Deserialize<RunState>(JsonSerializer.Serialize(State))!;

    public Transition Apply(RunEvent happened)
    {
        string before = JsonSerializer.Serialize(State);
        Transition transition = RunMachine.Apply(State, happened, new Roster(_trainers, _live, Labels: _labels), Now);
        if (transition.Refused is not null || transition.Duplicate)
        {
            Assert.Equal(before, JsonSerializer.Serialize(transition.State));
            Assert.Empty(transition.Effects);
        }

        State = transition.State;
        Effects.AddRange(transition.Effects);
        return transition;
    }

    public void Label(string site, string name, string value) => _labels[site] = new Dictionary<string, string> { [name] = value };

    public void Wait(TimeSpan time)
    {
        Now += time;
        Apply(new Tick());
    }

    public void Enrol(string site)
    {
        _trainers.Add(site);
        Come(site);
    }

    /// <summary>The site says that it evaluates from now on.</summary>
    public void BecomeEvaluator(string site)
    {
        _trainers.Remove(site);
        _live.Remove(site);
    }

    public void Come(string site)
    {
        _live.Add(site);
        Apply(new Tick());
    }

    public void Leave(string site)
    {
        _live.Remove(site);
        Apply(new Tick());
    }

    public void Ready(params string[] sites)
    {
        Apply(new Tick());
        foreach (string site in sites) Assert.Null(Apply(new SiteAnswered(site, [])).Refused);
    }

    public Transition Contribute(string site, ulong weight = 1, string? update = null, int? round = null, string? model = null) =>
        Apply(new UpdateArrived(site, round ?? State.Round, model ?? State.ModelSha256, new Contribution(update ?? $"{site}{State.Round}", weight)));

    public Transition Sum() => Apply(new Aggregated(State.Round, Model(State.Round)));

    /// <summary>The round's cohort contributes, and the sum is made.</summary>
    public void PlayRound()
    {
        foreach (string site in Assert.IsType<RoundOpen>(State.Phase).Cohort) Assert.Null(Contribute(site).Refused);
        Sum();
    }
}
