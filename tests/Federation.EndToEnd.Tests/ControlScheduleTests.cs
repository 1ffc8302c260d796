using CsCheck;
using Federation.Client;
using Federation.Formats.Models;
using Federation.Server.Runs;
using Federation.Server.Strategies;
using Federation.Server.Tests.Runs;

namespace Federation.EndToEnd.Tests;

/// <summary>SCAFFOLD's invariant, c = Σcᵢ/N, over the coordinator's rules and the sites' files: whatever is given up, lost, late, repeated or killed. Control variates are whole numbers, so that sums are exact.</summary>
public sealed class ControlScheduleTests
{
    private enum What
    {
        Train,
        Send,
        Fail,
        Sum,
        LoseSum,
        RestartCoordinator,
        LetTimePass,
        ForgetStored,
        Rejoin,
        Enrol,
    }

    private static readonly Gen<(What What, int Site, int Moved)[]> s_steps = Gen.Select(
        Gen.Frequency((8, Gen.Const(What.Train)), (8, Gen.Const(What.Send)), (1, Gen.Const(What.Fail)), (4, Gen.Const(What.Sum)), (1, Gen.Const(What.LoseSum)), (1, Gen.Const(What.RestartCoordinator)), (1, Gen.Const(What.LetTimePass)), (1, Gen.Const(What.ForgetStored)), (1, Gen.Const(What.Rejoin)), (1, Gen.Const(What.Enrol))),
        Gen.Int[0, 3],
        Gen.Int[-9, 9]).Array[20, 150];

    private static int s_counted; // the schedules must get somewhere

    [Fact]
    public void AnySchedule_OfFaults_KeepsTheGlobalControlVariateTheMeanOfTheSites()
    {
        s_steps.Sample(steps =>
        {
            using var schedule = new Schedule();
            foreach ((What what, int site, int moved) in steps)
            {
                if (schedule.Run.State.IsOver) break;
                schedule.Do(what, Schedule.Sites[site], moved);
                schedule.Check();
            }

            Interlocked.Add(ref s_counted, schedule.Run.State.CompletedRounds);
        }, iter: 200);
        Assert.True(s_counted > 100, $"{s_counted} rounds in 200 schedules; twice as many are usual.");
    }

    private sealed class Schedule : IDisposable
    {
        public static readonly string[] Sites = ["a", "b", "c", "d"];

        private readonly TemporaryFolder _folder = new();
        private readonly Dictionary<string, (int Round, string Model, string Update, int Moved)> _stored = []; // at the sites
        private readonly Dictionary<string, int> _moved = []; // by update
        private double _c;
        private int _sum, _updates, _models;

        public Schedule() => Run.Ready("a", "b", "c");

        public Scenario Run { get; } = new(rounds: 1000, least: 2, with: plan => plan with { HasControls = true });

        public void Do(What what, string site, int moved)
        {
            switch (what)
            {
                case What.Train when Run.State.Phase is RoundOpen open && open.Cohort.Contains(site) && !open.Failed.Contains(site) && !open.Contributions.ContainsKey(site):
                    if (_stored.TryGetValue(site, out var stored) && (stored.Round, stored.Model) == (Run.State.Round, Run.State.ModelSha256)) break; // sent again, byte for byte
                    string update = $"{++_updates:x64}", counted = ControlRules.CountedOf(Run.State, site); // as the task has it
                    Controls(site).Keep("run", Run.State.Round, counted, update, Of(Own(site, counted) + moved));
                    _moved[update] = moved;
                    _stored[site] = (Run.State.Round, Run.State.ModelSha256, update, moved);
                    break;
                case What.Send when _stored.TryGetValue(site, out var ready): // and what came of it the site need not hear
                    Run.Contribute(site, update: ready.Update, round: ready.Round, model: ready.Model);
                    break;
                case What.Fail:
                    Run.Apply(new SiteFailed(site, Run.State.Round, "out of memory"));
                    break;
                case What.Sum when Run.State.Phase is Aggregating closed:
                    Add([.. closed.Contributions.Values.Select(part => _moved[part.UpdateSha256])]);
                    Run.Apply(new Aggregated(Run.State.Round, Scenario.Model(++_models)));
                    break;
                case What.LoseSum when Run.State.Phase is Aggregating:
                    Run.Apply(new OpeningLost(Run.State.Round, "Shares are gone.", Scenario.Model(++_models)));
                    break;
                case What.RestartCoordinator:
                    Run.Restart();
                    break;
                case What.LetTimePass:
                    Run.Wait(TimeSpan.FromMinutes(11));
                    break;
                case What.ForgetStored: // its ledger was put back: it trains anew
                    _stored.Remove(site);
                    break;
                case What.Rejoin when Run.State.Sites.ContainsKey(site):
                    Run.Apply(new SiteJoined(site));
                    if (!Run.State.IsOver) Run.Ready(site);
                    break;
                case What.Enrol when !Run.State.Sites.ContainsKey("d"):
                    Run.Enrol("d");
                    if (!Run.State.IsOver) Run.Ready("d");
                    break;
            }
        }

        public void Check()
        {
            Assert.Equal(_sum, Sites.Sum(site => Own(site, ControlRules.CountedOf(Run.State, site))));
            Assert.Equal(_sum, _c * (Run.State.Controls?.Sites ?? 0), 1e-9);
        }

        public void Dispose() => _folder.Dispose();

        /// <summary>What the coordinator makes of the opened mean.</summary>
        private void Add(int[] moved)
        {
            (double share, double kept) = ControlRules.SharesOf(Run.State.Controls, moved.Length);
            var strategy = new Server.Strategies.Scaffold(1);
            strategy.Begin(new RoundFigures(1, share, Weights: 0, kept));
            double[] c = [_c];
            strategy.Apply(c, [moved.Average()], []);
            _c = c[0];
            _sum += moved.Sum();
        }

        private float Own(string site, string counted) => Controls(site).At("run", counted, Of(0)).Tensors[0].Values[0];

        // By another process each time.
        private OwnControls Controls(string site) => new(new NodeFolder(Path.Combine(_folder.Path, site)));

        private static ModelState Of(float value) => new([new NamedTensor("w", [1], [value])]);
    }
}
