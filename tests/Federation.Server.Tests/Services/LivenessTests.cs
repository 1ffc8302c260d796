using Federation.Formats.Configuration;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Runs;
using Federation.V1;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using NodeRole = Federation.V1.NodeRole;

namespace Federation.Server.Tests.Services;

/// <summary>Sites that come, go, fail and dial twice.</summary>
public sealed class LivenessTests
{
    [Fact]
    public async Task Node_ConnectionBreaksInAPoll_CountsAsGoneAtOnce()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a");
        using var dies = new CancellationTokenSource();
        AsyncUnaryCall<NodeTask> poll = nodes[0].Client.NextTaskAsync(new NextTaskRequest(), cancellationToken: dies.Token);
        await Condition.HoldsAsync(() => test.Coordinator.Sessions.Polls("a") == 1);
        await dies.CancelAsync();
        await Assert.ThrowsAsync<RpcException>(async () => await poll);
        await Condition.HoldsAsync(() => !test.Coordinator.Sessions.IsLive("a"));
        await nodes[0].Client.HeartbeatAsync(new HeartbeatRequest());
        Assert.True(test.Coordinator.Sessions.IsLive("a"));
    }

    [Fact]
    public async Task Node_OlderPollEndsAfterItDialledAgain_IsStillThere()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a");
        using var dies = new CancellationTokenSource();
        AsyncUnaryCall<NodeTask> old = nodes[0].Client.NextTaskAsync(new NextTaskRequest(), cancellationToken: dies.Token);
        await Condition.HoldsAsync(() => test.Coordinator.Sessions.Polls("a") == 1);
        Task<NodeTask> poll = nodes[0].NextAsync();
        await Condition.HoldsAsync(() => test.Coordinator.Sessions.Polls("a") == 2);
        await dies.CancelAsync();
        await Assert.ThrowsAsync<RpcException>(async () => await old);
        await Condition.HoldsAsync(() => test.Coordinator.Sessions.Polls("a") == 1);
        Assert.True(test.Coordinator.Sessions.IsLive("a"));
        string run = await test.SubmitAsync();
        Assert.Equal(run, (await poll).CheckData.Run.RunId);
    }

    [Fact]
    public async Task Node_NotHeardOfForThirtySeconds_IsNotInTheNextRound()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b");
        string run = await test.SubmitAsync(spec: Tiny.Spec(least: 1));
        await nodes[0].ReadyAsync(run);
        test.Wait(TimeSpan.FromSeconds(31));
        await nodes[1].ReadyAsync(run);
        Assert.Equal(["b"], Assert.IsType<RoundOpen>(test.StateOf(run).Phase).Cohort);
        Assert.Equal([("a", false), ("b", true)], (await test.Operator.ListSitesAsync(new ListSitesRequest())).Sites.Select(site => (site.Name, site.Connected)));
    }

    [Fact]
    public async Task Node_ReportsAFailure_TheRoundGoesOnWithoutItAndTheReasonIsShown()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 9, least: 2));
        for (uint round = 1; round <= RunMachine.MostFailures; round++)
        {
            await nodes[2].Client.ReportFailureAsync(new FailureReport { RunId = run, Round = round, Reason = new string('x', 100_000) });
            await nodes[0].ContributeAsync(run, Tiny.Update(1, 1, 1, 1));
            await nodes[1].ContributeAsync(run, Tiny.Update(1, 1, 1, 1));
            await test.SummedAsync(run);
        }

        V1.RunSite failed = (await test.ShowAsync(run)).Sites.Single(site => site.Name == "c");
        Assert.Equal("failed", failed.State);
        Assert.InRange(failed.Mismatches.Single().Length, 1, 1001);
        Assert.Equal(["a", "b"], Assert.IsType<RoundOpen>(test.StateOf(run).Phase).Cohort);
        await Tiny.RefusedAsync(Refusal.WrongRound, StatusCode.FailedPrecondition, async () => await nodes[2].Client.ReportFailureAsync(new FailureReport { RunId = run, Round = 1 }));
        await nodes[2].JoinAsync(); // its process was started again, mended
        await nodes[2].ReadyAsync(run);
        Assert.Equal(SiteStanding.Ready, test.StateOf(run).Sites["c"].Standing);
    }

    [Fact]
    public async Task Node_BecomesAnEvaluator_IsNoLongerAskedToTrain()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b");
        await nodes[1].JoinAsync(NodeRole.Evaluator);
        string run = await test.SubmitAsync(spec: Tiny.Spec(rounds: 1, least: 1));
        await nodes[0].ReadyAsync(run);
        Assert.Equal(["a"], Assert.IsType<RoundOpen>(test.StateOf(run).Phase).Cohort);
        Assert.Equal(0U, (await nodes[1].NextAsync()).Evaluate.Round);
    }

    [Fact]
    public async Task Listeners_OnOnePortOfTwoAddresses_AreToldApart()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        int port = test.Coordinator.NodesAddress.Port;
        await test.StopAsync();
        var configuration = new ServerConfiguration { State = test.State, Nodes = $"127.0.0.2:{port}", Operators = $"127.0.0.1:{port}" };
        await using Coordinator coordinator = await Coordinator.StartAsync(configuration, test.Time, NullLoggerFactory.Instance, TestContext.Current.CancellationToken);
        Credential admin = test.Own(Credential.Load(test.Folder.Admin));
        await new Operator.OperatorClient(test.Channel(coordinator.OperatorsAddress, admin)).ListSitesAsync(new ListSitesRequest());
        await Tiny.RefusedAsync(Refusal.WrongRole, StatusCode.PermissionDenied, async () =>
            await new Operator.OperatorClient(test.Channel(coordinator.NodesAddress, admin)).ListSitesAsync(new ListSitesRequest()));
    }
}
