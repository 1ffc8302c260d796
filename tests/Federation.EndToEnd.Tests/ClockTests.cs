using Federation.Client;
using Federation.Formats;
using Federation.Formats.Models;
using Federation.Protocol.Identity;
using Federation.V1;

namespace Federation.EndToEnd.Tests;

/// <summary>Clocks that are set and certificates that end while a run goes on.</summary>
public sealed class ClockTests
{
    /// <summary>The machine's clock, set wrong; timers go on as before.</summary>
    private sealed class SetClock : TimeProvider
    {
        public TimeSpan Offset { get; set; }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Offset;
    }

    [Fact]
    public async Task Coordinator_ClockADayForwardAndBackInARound_TheRunCompletesWithEverySite()
    {
        var clock = new SetClock();
        using var log = new KeptLog();
        await using TestFederation federation = await TestFederation.StartAsync(log, time: clock);
        foreach (string site in new[] { "a", "b", "c" }) await federation.EnrollAsync(site);
        using var gate = new GatedLearner(new SteppingLearner(1), heldRound: 2);
        Task<NodeOutcome>[] nodes = [federation.RunNodeAsync("a", new SteppingLearner(1)), federation.RunNodeAsync("b", new SteppingLearner(1)), federation.RunNodeAsync("c", gate)];
        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 3, least: 2, deadline: "2h"), "", OneVector.Initial(2));
        await federation.WaitForAsync(run, "contributed", happened => happened is { Round: 2, Site: "a" });
        clock.Offset = TimeSpan.FromDays(1);
        await federation.WaitForAsync(run, "clock");
        await log.SaysAsync("This machine's clock was set forward");
        clock.Offset = TimeSpan.Zero;
        await federation.WaitForAsync(run, "clock", happened => happened.Message.Contains("back", StringComparison.Ordinal));
        await log.SaysAsync("This machine's clock was set back");
        gate.Release();

        Assert.All(await Task.WhenAll(nodes), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        Assert.All((await federation.ShowAsync(run)).Rounds, round => Assert.Equal(["a", "b", "c"], round.Contributors));
        string[] said = [.. log.Lines.Where(line => line.Contains("This machine's clock", StringComparison.Ordinal))];
        Assert.Equal(2, said.Length);
        Assert.StartsWith("This machine's clock was set forward by 1.00:00:00: the deadlines of runs go with it", said[0], StringComparison.Ordinal);
        Assert.StartsWith("This machine's clock was set back by 1.00:00:00", said[1], StringComparison.Ordinal);
    }

    [Fact] // as that of a site that was off for longer than its certificate lasts
    public async Task Site_CertificateEndsInARound_IsToldHowToComeBackAndTheOthersGoOn()
    {
        var clock = new SetClock();
        await using TestFederation federation = await TestFederation.StartAsync(time: clock);
        foreach (string site in new[] { "a", "b" }) await federation.EnrollAsync(site);
        federation.SiteCertificates = TimeSpan.FromHours(1);
        await federation.RestartCoordinatorAsync();
        await federation.EnrollAsync("c");
        string key = KeyOf(federation, "c");
        using var held = new GatedLearner(new SteppingLearner(4), heldRound: 2);
        using var gate = new GatedLearner(new SteppingLearner(1), heldRound: 3);
        Task<NodeOutcome>[] others = [federation.RunNodeAsync("a", gate), federation.RunNodeAsync("b", new SteppingLearner(1))];
        Task<NodeOutcome> ends = federation.RunNodeAsync("c", held);
        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 4, least: 2, deadline: "10s"), "", OneVector.Initial(2));
        await held.Started;
        clock.Offset = TimeSpan.FromDays(2); // the certificates of the others last
        held.Release();
        Exception refused = await Assert.ThrowsAnyAsync<Exception>(() => ends);
        Assert.Contains("the coordinator's clock shows", refused.Message, StringComparison.Ordinal);
        Assert.Contains("new invitation (`fed site invite`) and enrol with it: `fed node enroll`", refused is InvalidInputException wrong ? wrong.Problems[0].Message + wrong.Problems[0].Repair : refused.Message, StringComparison.Ordinal);

        await gate.Started; // the second round ended without it
        await federation.EnrollAsync("c"); // with its folder as it is
        Assert.Equal(key, KeyOf(federation, "c"));
        Task<NodeOutcome> again = federation.RunNodeAsync("c", new SteppingLearner(4));
        while (!(await federation.Operator.ListSitesAsync(new ListSitesRequest())).Sites.All(site => site.Connected)) await Task.Delay(20, TestContext.Current.CancellationToken);
        gate.Release();
        Assert.All(await Task.WhenAll([.. others, again]), outcome => Assert.Equal(("completed", 4), (outcome.State, outcome.Rounds)));
        RoundSummary[] rounds = [.. (await federation.ShowAsync(run)).Rounds];
        Assert.All(rounds, round => Assert.Equal("completed", round.State));
        string[] contributors = [.. rounds.Select(round => string.Join(' ', round.Contributors))];
        Assert.Equal(("a b c", "a b", "a b c"), (contributors[0], contributors[1], contributors[3])); // it may be in time for the third
    }

    [Fact]
    public async Task Coordinator_ItsOwnCertificateEndsInARun_NodesThatDialAfterwardsTakePart()
    {
        var clock = new SetClock();
        await using TestFederation federation = await TestFederation.StartAsync(time: clock, siteCertificates: TimeSpan.FromDays(700));
        foreach (string site in new[] { "a", "b" }) await federation.EnrollAsync(site);
        Task<NodeOutcome> first = federation.RunNodeAsync("a", new SteppingLearner(1));
        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 2, least: 2), "", OneVector.Initial(2));
        await federation.WaitForAsync(run, "site-ready");
        clock.Offset = TimeSpan.FromDays(31);
        Task<NodeOutcome> second = federation.RunNodeAsync("b", new SteppingLearner(1));
        Assert.All(await Task.WhenAll(first, second), outcome => Assert.Equal((run, "completed"), (outcome.RunId, outcome.State)));
    }

    private static string KeyOf(TestFederation federation, string site)
    {
        var folder = new NodeFolder(federation.NodeState(site));
        using Credential credential = Credential.Load(folder.Certificate, folder.Key);
        return CertificateProfile.SpkiSha256(credential.Certificate);
    }
}
