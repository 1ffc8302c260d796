using Federation.Protocol;
using Federation.Server.Services;
using Federation.Server.Storage;
using Federation.V1;

namespace Federation.Server.Tests.Services;

public sealed class OperatorMessagesTests
{
    [Fact]
    public void Newest_MoreThanAMessageHolds_KeepsTheNewestInOrder()
    {
        IReadOnlyList<RunSummary> kept = OperatorMessages.Newest(Enumerable.Range(0, 100_000).Select(i => new RunSummary { Rounds = (uint)i, Reason = new string('x', 100) }));
        Assert.InRange(new ListRunsReply { Runs = { kept } }.CalculateSize(), Limits.MessageBytes / 2, Limits.MessageBytes);
        Assert.Equal(Enumerable.Range(100_000 - kept.Count, kept.Count).Select(i => (uint)i), kept.Select(run => run.Rounds));
    }

    [Fact]
    public void Newest_FewEnough_KeepsAll() => Assert.Equal(3, OperatorMessages.Newest([new RunSummary(), new RunSummary(), new RunSummary()]).Count);

    [Fact]
    public async Task Describe_ARunOfVeryManyRounds_FitsInAMessage()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        string run = await test.SubmitAsync();
        string[] sites = [.. Enumerable.Range(0, 50).Select(i => $"a-hospital-with-a-long-name-{i}")];
        RunDetails details = OperatorMessages.Describe(
            test.Coordinator.Runs.Find(run)!, Enumerable.Range(1, 5000).Select(round => new RoundRecord(round, "completed", sites, sites, 1, new string('a', 64), 1, 1, 1, 1)), []);
        Assert.InRange(details.CalculateSize(), Limits.MessageBytes / 2, Limits.MessageBytes);
        Assert.Equal(5000U, details.Rounds[^1].Round);
    }
}
