namespace Federation.Cli.Tests;

/// <summary>20 kills at random moments; <c>bench kill</c> does more.</summary>
public sealed class RandomKillTests(ITestOutputHelper output)
{
    [Fact]
    public async Task CoordinatorAndNodes_KilledAtRandomMoments_GiveTheUndisturbedModels()
    {
        KillReport report = await KilledRuns.CompareAsync(count: 20, rounds: 12, seed: 1, output.WriteLine);
        Assert.True(report.Identical, string.Join('\n', report.Differences));
        Assert.Equal(20, report.Count);
        Assert.True(report.Kills["coordinator"] > 0);
    }
}
