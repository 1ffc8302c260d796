using Federation.Formats.Evaluation;
using Federation.Server.Runs;

namespace Federation.Server.Tests.Runs;

/// <summary>Runs with secure aggregation: when keys are made anew, and by whom.</summary>
public sealed class SecureRulesTests
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];
    private static readonly Roster s_roster = new(s_sites.ToHashSet(), s_sites.ToHashSet(), "same");

    private RunState _state = RunState.Submitted(new RunPlan(1, 3, TimeSpan.FromMinutes(1), s_sites, null, Secure: true), Scenario.Initial, Scenario.Start);

    [Theory] // members refuse what is beyond: a round's update and its evaluation are opened with one key, or the round waits for new ones
    [InlineData(1, null, 3)]
    [InlineData(2, null, 2)]
    [InlineData(2, 1, 3)]
    [InlineData(3, 1, 3)]
    [InlineData(4, 1, 2)]
    [InlineData(3, 2, 2)] // round 2 and the last one are evaluated
    public void Keys_BeforeARoundThatWouldOpenMoreThanMembersAllow_AreMadeAnew(int maxOpenings, int? evaluateEvery, int epochs)
    {
        Start(new RunPlan(3, 3, TimeSpan.FromMinutes(1), s_sites, evaluateEvery, Secure: true, MaxOpenings: maxOpenings));
        List<int> openings = [0];
        for (int epoch = 0; !_state.IsOver;)
        {
            if (_state.Phase is MakingKeys making)
            {
                epoch = making.Epoch;
                openings.Add(0);
                Apply(new EpochMade(making.Attempt, new EpochKeys(epoch, new string('c', 64), "", "", "same", 0), 4, 3));
            }
            else if (_state.Phase is RoundOpen)
            {
                foreach (string site in s_sites) Apply(new UpdateArrived(site, _state.Round, _state.ModelSha256, new Contribution(site, 0)));
                openings[epoch]++;
                Apply(new Aggregated(_state.Round, Scenario.Model(_state.Round)));
            }
            else
            {
                foreach (string site in s_sites) Apply(new EvaluationSealed(site, _state.Round, new Contribution(site, 0)));
                openings[epoch]++;
                Apply(new EvaluationOpened(_state.Round, new EvaluationSums { Examples = 1, Correct = 1, LogLossSum = 0, BrierSum = 0 }));
            }
        }

        Assert.Equal(3, _state.CompletedRounds);
        Assert.All(openings, count => Assert.InRange(count, 0, Math.Max(maxOpenings, evaluateEvery is null ? 1 : 2)));
        Assert.Equal(epochs, openings.Count - 1);
    }

    private void Start(RunPlan plan)
    {
        _state = RunState.Submitted(plan, Scenario.Initial, Scenario.Start);
        foreach (string site in s_sites) Apply(new SiteAnswered(site, []));
    }

    private void Apply(RunEvent happened) => _state = RunMachine.Apply(_state, happened, s_roster, Scenario.Start).State;
}
