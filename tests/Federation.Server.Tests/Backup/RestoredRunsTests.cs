using System.Collections.Immutable;
using Federation.Server.Backup;
using Federation.Server.Runs;

namespace Federation.Server.Tests.Backup;

public sealed class RestoredRunsTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly string Hash = new('a', 64);

    [Fact] // the buffer's files are not in a backup: what waited is sent again, what was used is not counted twice
    public void Of_AnAsynchronousRun_TakesWhatWaitedAgainAndNothingThatWasUsed()
    {
        RunState state = RunState.Submitted(new RunPlan(10, 1, TimeSpan.FromMinutes(1), ["a", "b", "c"], null, Buffer: new BufferPlan(2, 3)), Hash, Now) with
        {
            Round = 5,
            Phase = new Aggregating(Now, ["a", "b"], Contributions(("a", 4))),
            Buffer = BufferState.Empty with { Models = BufferState.Empty.Models.Add(3, Hash).Add(4, Hash).Add(5, Hash), Newest = BufferState.Empty.Newest.Add("a", 4).Add("b", 5).Add("c", 4), Early = Contributions(("b", 5)) },
        };
        RunState restored = RestoredRuns.Of(state, Now.AddDays(1));

        RoundOpen open = Assert.IsType<RoundOpen>(restored.Phase);
        Assert.Equal((0, 2, Now.AddDays(1).AddMinutes(1)), (open.Contributions.Count, open.Wanted, open.Deadline));
        Assert.Empty(restored.Buffer!.Early);
        Assert.Null(BufferRules.RefusalOf(restored, "a", 4, Hash, Hash));
        Assert.False(BufferRules.IsCounted(restored, "a", 4));
        Assert.False(BufferRules.IsCounted(restored, "b", 5));
        Assert.True(BufferRules.IsCounted(restored, "c", 4)); // used in a step
        Assert.NotNull(BufferRules.RefusalOf(restored, "c", 3, Hash, Hash));
        Assert.NotNull(BufferRules.RefusalOf(restored, "b", 3, Hash, Hash));
    }

    private static ImmutableSortedDictionary<string, Contribution> Contributions(params (string Site, int From)[] sites) =>
        sites.ToImmutableSortedDictionary(site => site.Site, site => new Contribution(Hash, 1, site.From), StringComparer.Ordinal);
}
