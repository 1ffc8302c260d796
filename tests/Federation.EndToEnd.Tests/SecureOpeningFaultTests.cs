using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Privacy.Ledger;
using Federation.Protocol;
using Federation.Server.Identity;
using Federation.V1;
using Grpc.Core;
using Microsoft.Data.Sqlite;
using Opening = Federation.Privacy.SecureAggregation.Opening;
using OpeningRequest = Federation.Privacy.SecureAggregation.OpeningRequest;

namespace Federation.EndToEnd.Tests;

/// <summary>Openings whose members vanish, refuse or have had enough, over the network.</summary>
public sealed class SecureOpeningFaultTests : IAsyncDisposable
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    private RunningSites _sites = null!;
    private LyingCoordinator? _relay;

    private TestFederation Federation => _sites.Federation;

    public async ValueTask DisposeAsync()
    {
        await _sites.DisposeAsync();
        if (_relay is not null) await _relay.DisposeAsync();
    }

    [Fact] // its record is written, its answer never leaves: started again it gives the same part, and the sum is the one of all four
    public async Task Member_KilledBetweenItsRecordAndItsAnswer_GivesTheSamePartAgain()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        await using LyingCoordinator relay = await LyingCoordinator.StartAsync(Federation, "a");
        List<OpeningAnswer> answers = [];
        var answered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        relay.Hold = (answer, cancellation) =>
        {
            answers.Add(answer);
            if (!answered.TrySetResult()) return Task.CompletedTask;
            return Task.Delay(Timeout.Infinite, cancellation); // until the node is gone
        };
        GatedLearner gate = _sites.Gate("c", heldRound: 1);
        _sites.Run("a", coordinator: relay.Address);
        _sites.Run(["b", "d"]);
        _sites.Run("c", gate);
        string run = await _sites.SubmitAsync(rounds: 1);
        await _sites.ContributedAsync(run, "d", 1);
        await _sites.StopAsync("d"); // a, b and c are needed, all of them
        gate.Release();
        await answered.Task;
        await _sites.StopAsync("a");
        Assert.Equal("aggregating", (await Federation.ShowAsync(run)).Summary.State);
        _sites.Run("a", coordinator: relay.Address);
        RunEvent opened = await Federation.WaitForAsync(run, "opened");
        Assert.Contains("opened by a, b, c: the sum of 4 updates", opened.Message, StringComparison.Ordinal);
        Assert.Equal(2, answers.Count);
        Assert.NotEmpty(answers[0].Part);
        Assert.Equal(answers[0].Part, answers[1].Part);
        await _sites.EndedAsync();
        Assert.All(_sites.Model(run), value => Assert.Equal(RunningSites.MeanOf(s_sites), value, 1e-3f));
    }

    [Fact] // hundreds of refusals of one member, and after the opening still more: one line in the log, and the others open
    public async Task Refusals_OfOneMemberInAFlood_DoNotStopTheOthers()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        GatedLearner gate = _sites.Gate("d", heldRound: 1);
        _sites.Run(s_sites[..3]);
        _sites.Run("d", gate);
        string run = await _sites.SubmitAsync(rounds: 1);
        await _sites.ContributedAsync(run, "a", 1);
        await _sites.StopAsync("a");
        Node.NodeClient flooding = Federation.NodeClient("a");
        await flooding.JoinAsync(new JoinRequest { ProtocolVersion = ProtocolVersion.Current, Role = V1.NodeRole.Trainer });
        gate.Release();
        NodeTask task = await flooding.NextTaskAsync(new NextTaskRequest());
        Assert.NotNull(task.Open);
        var refusal = new OpeningAnswer { RunId = run, RequestSha256 = task.Open.RequestSha256, Refusal = "No." };
        int taken = 0;
        for (int i = 0; i < 300; i++)
        {
            try
            {
                await flooding.SendOpeningAnswerAsync(refusal);
                taken++;
            }
            catch (RpcException late) when (RpcError.Is(late, Refusal.ProtocolRefused))
            {
                // the sum is open already
            }
        }

        Assert.Contains("opened by b, c, d", (await Federation.WaitForAsync(run, "opened")).Message, StringComparison.Ordinal);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal("completed", outcome.State));
        Assert.True(taken > 0);
        Assert.Equal(1, await CountAsync(run, "refused"));
    }

    [Fact] // this site allows two openings of a key, the run a hundred: it takes no part in the run, opens two sums of the others as a member, and refuses the third
    public async Task Member_AskedForMoreOpeningsThanItsPolicyAllows_RefusesAndOthersOpen()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        _sites.Run("a", policy: new NodePolicy(MaxOpenings: 2));
        _sites.Run(s_sites[1..]);
        string run = await _sites.SubmitAsync(rounds: 4);
        RunEvent refused = await Federation.WaitForAsync(run, "refused");
        Assert.Contains("Epoch 1 has had 2 openings, as many as spec and policy allow", refused.Message, StringComparison.Ordinal);
        Assert.Equal(4u, refused.Round);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 4), (outcome.State, outcome.Rounds)));
        RunSite standing = (await Federation.ShowAsync(run)).Sites.Single(site => site.Name == "a");
        Assert.Contains("One key of the run opens 100 sums; this site's policy allows 2.", standing.Mismatches);
        Assert.Contains("opened by a, c, d", (await Federation.WaitForAsync(run, "opened", happened => happened.Round == 3)).Message, StringComparison.Ordinal);
        Assert.Contains("opened by b, c, d", (await Federation.WaitForAsync(run, "opened", happened => happened.Round == 4)).Message, StringComparison.Ordinal);
    }

    [Theory] // after all have contributed two of four go; three are needed
    [InlineData(true)]
    [InlineData(false)]
    public async Task Members_GoneUntilTooFewAreLeft_AbortOrAreWaitedForAsTheSpecSays(bool isAbort)
    {
        _sites = await RunningSites.StartAsync(s_sites);
        GatedLearner gate = _sites.Gate("d", heldRound: 1);
        _sites.Run(s_sites[..3]);
        _sites.Run("d", gate);
        string run = await _sites.SubmitAsync(rounds: 1, deadline: "4s", settings: $"threshold: 3, onCommitteeLoss: {(isAbort ? "abort" : "wait")}");
        foreach (string site in new[] { "a", "b" })
        {
            await _sites.ContributedAsync(run, site, 1);
            await _sites.StopAsync(site);
        }

        gate.Release();
        if (isAbort)
        {
            Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal("failed", outcome.State));
            string reason = (await Federation.ShowAsync(run)).Summary.Reason;
            Assert.StartsWith("Round 1 cannot be opened: Opening the update of round 1", reason, StringComparison.Ordinal);
            Assert.EndsWith("needs 3 members; 2 that can are connected. Not connected: a, b.", reason, StringComparison.Ordinal);
            return;
        }

        Assert.Contains("needs 3 members; 2 that can are connected. Not connected: a, b.", (await Federation.WaitForAsync(run, "waiting", happened => happened.Round == 1)).Message, StringComparison.Ordinal);
        _sites.Run("b");
        Assert.Contains("opened by b, c, d: the sum of 4 updates", (await Federation.WaitForAsync(run, "opened")).Message, StringComparison.Ordinal);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal("completed", outcome.State));
    }

    [Fact] // as by a site whose blocks do not belong to its key, twice: nobody can say whose; the rounds are lost, the run is not, and each time the weights get a hash that members have not answered for
    public async Task Contributions_WhoseBlocksDoNotFitTheirKey_CostTheirRounds()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        GatedLearner second = _sites.Gate("d", heldRound: 2), first = _sites.Gate("d", heldRound: 1, second);
        _sites.Run(s_sites[..3]);
        _sites.Run("d", first);
        string run = await _sites.SubmitAsync(rounds: 1, values: 50_000);
        HashSet<string> models = [];
        foreach ((int round, GatedLearner gate) in new[] { (1, first), (2, second) })
        {
            await _sites.ContributedAsync(run, "a", round);
            await using (FileStream spooled = File.OpenWrite(Path.Combine(new CoordinatorFolder(Federation.State).Spool, run, $"{round}", "a")))
            {
                spooled.Position = spooled.Length / 2;
                spooled.Write(new byte[4096]);
            }

            gate.Release();
            RunEvent abandoned = await Federation.WaitForAsync(run, "round-abandoned", happened => happened.Round == round);
            Assert.Contains("What was opened is no sum of 4 contributions", abandoned.Message, StringComparison.Ordinal);
            Assert.True(models.Add(abandoned.ModelSha256));
        }

        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 1), (outcome.State, outcome.Rounds)));
        Assert.Equal(["a", "b", "c", "d"], (await Federation.ShowAsync(run)).Rounds[^1].Contributors);
        Assert.All(_sites.Model(run), value => Assert.Equal(RunningSites.MeanOf(s_sites), value, 1e-2f));
    }

    [Fact]
    public async Task Keys_UsedForMaxOpenings_AreMadeAnewBeforeTheNextRound()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        _sites.Run(s_sites);
        string run = await _sites.SubmitAsync(rounds: 3, settings: "threshold: 3, maxOpenings: 2");
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        Assert.Contains("Key epoch 2", (await Federation.WaitForAsync(run, "keys-made", happened => happened.Round == 2)).Message, StringComparison.Ordinal);
        Assert.Equal(2, await CountAsync(run, "keys-made"));
        Assert.All(_sites.Model(run), value => Assert.Equal(3 * RunningSites.MeanOf(s_sites), value, 3e-3f));
    }

    [Fact] // the spec that members agreed to allows one sum under one key: they hold that against the coordinator, whatever the coordinator goes by
    public async Task Members_AskedForMoreOpeningsThanTheSpecAllows_Refuse()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        string run = await _sites.SubmitAsync(rounds: 3, settings: "threshold: 3, maxOpenings: 1");
        await Federation.RestartCoordinatorAsync(() =>
        {
            using var connection = new SqliteConnection($"Data Source={new CoordinatorFolder(Federation.State).Database};Pooling=False");
            connection.Open();
            using SqliteCommand command = connection.CreateCommand();
            command.CommandText = "UPDATE runs SET state = replace(state, '\"MaxOpenings\":1,', '\"MaxOpenings\":100,') WHERE instr(state, '\"MaxOpenings\":1,') > 0";
            Assert.Equal(1, command.ExecuteNonQuery());
        });
        _sites.Run(s_sites);
        RunEvent refused = await Federation.WaitForAsync(run, "refused");
        Assert.Contains("Epoch 1 has had 1 openings, as many as spec and policy allow", refused.Message, StringComparison.Ordinal);
        Assert.Equal(2u, refused.Round);
        await Federation.WaitForAsync(run, "refused", happened => happened.Site != refused.Site); // two of four: three can no longer open it
        Assert.Equal(["completed"], (await Federation.ShowAsync(run)).Rounds.Where(round => round.Round == 1 || round.State == "completed").Select(round => round.State));
    }

    [Fact] // to one member the coordinator showed another spec under the run's id: that member opens nothing of it, and the others do
    public async Task Member_ThatAgreedToAnotherSpec_OpensNothingOfTheRun()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        LyingCoordinator relay = _relay = await LyingCoordinator.StartAsync(Federation, "a");
        relay.Lie = task =>
        {
            if (task.CheckData is { } check) check.Run.SpecYaml = check.Run.SpecYaml.Replace("maxOpenings: 100", "maxOpenings: 1", StringComparison.Ordinal);
            return task;
        };
        _sites.Run("a", coordinator: relay.Address);
        _sites.Run(s_sites[1..]);
        string run = await _sites.SubmitAsync(rounds: 3, settings: "threshold: 3, maxOpenings: 100"); // a is asked in rounds 1 and 3
        RunEvent refused = await Federation.WaitForAsync(run, "refused");
        Assert.Contains("is of another spec or schema than the ones of run", refused.Message, StringComparison.Ordinal);
        Assert.Equal(("a", 1u), (refused.Site, refused.Round));
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
    }

    [Fact] // one site less: the others' policies do not let its number of examples be seen by subtraction
    public async Task Members_WhosePoliciesKeepSetsApart_OpenNoSumWithOneSiteLess()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        GatedLearner gate = _sites.Gate("d", heldRound: 2);
        foreach (string site in s_sites) _sites.Run(site, site == "d" ? gate : null, policy: new NodePolicy(KeepSetsApart: true));
        string run = await _sites.SubmitAsync(rounds: 2, deadline: "3s");
        await gate.Started;
        RunEvent refused = await Federation.WaitForAsync(run, "refused"); // at the deadline a, b and c are enough for the spec
        Assert.Contains("and only 'd' is in one of the two sets alone", refused.Message, StringComparison.Ordinal);
        Assert.Contains(AuditVerification.Of(new NodeFolder(Federation.NodeState(refused.Site)).Audit).Entries, entry => entry.Kind == "opening-refused" && entry.What.Contains("This site's policy keeps sets of contributors apart: the same as before (a, b, c, d)", StringComparison.Ordinal));
        gate.Release(); // and with d the run goes on
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        Assert.All((await Federation.ShowAsync(run)).Rounds.Where(round => round.State == "completed"), round => Assert.Equal(s_sites, round.Contributors));
    }

    [Fact] // a has sent its evaluation and is gone when the sum is to be opened
    public async Task Evaluation_WithAMemberGone_IsOpenedByTheOthers()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        LyingCoordinator relay = _relay = await LyingCoordinator.StartAsync(Federation, "a");
        var idle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        relay.Lie = task =>
        {
            if (task.Evaluate is not null) relay.Asked = () => idle.TrySetResult();
            return task;
        };
        GatedEvaluation gate = _sites.Own(new GatedEvaluation(new SteppingLearner(RunningSites.Steps["d"]), held: 2));
        _sites.Run("a", coordinator: relay.Address);
        _sites.Run(s_sites[1..3]);
        _sites.Run("d", gate);
        string run = await _sites.SubmitAsync(rounds: 1, extra: "evaluate: { every: 1 }");
        await idle.Task;
        await _sites.StopAsync("a");
        gate.Release();
        RunEvent evaluated = await Federation.WaitForAsync(run, "evaluated");
        Assert.Equal(4u, evaluated.Metrics.Examples); // a's is in the sum
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal("completed", outcome.State));
    }

    [Fact] // all four members are needed, one is killed when it is asked, and the coordinator restarts in between
    public async Task Evaluation_BelowTheThresholdAndTheCoordinatorRestarts_IsOpenedWhenTheMemberIsBack()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        LyingCoordinator relay = _relay = await LyingCoordinator.StartAsync(Federation, "a");
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        relay.Lie = task =>
        {
            if (task.Open is not { } open || OpeningRequest.Decode(relay.Fetched(open.RequestSha256)).Opening.Purpose != Opening.Evaluation) return task;
            asked.TrySetResult();
            return new NodeTask { Idle = new Idle() };
        };
        _sites.Run("a", coordinator: relay.Address);
        _sites.Run(s_sites[1..]);
        string run = await _sites.SubmitAsync(rounds: 1, settings: "threshold: 4", extra: "evaluate: { every: 1 }");
        await asked.Task;
        await _sites.StopAsync("a");
        Assert.Equal("evaluating", (await Federation.ShowAsync(run)).Summary.State);
        await Federation.RestartCoordinatorAsync();
        Assert.Equal("evaluating", (await Federation.ShowAsync(run)).Summary.State);
        _sites.Run("a");
        Assert.Equal(4u, (await Federation.WaitForAsync(run, "evaluated")).Metrics.Examples);
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal("completed", outcome.State));
        Assert.Equal(1, await CountAsync(run, "evaluated"));
    }

    private async Task<int> CountAsync(string run, string kind)
    {
        int count = 0;
        using AsyncServerStreamingCall<RunEvent> watch = Federation.Operator.WatchRun(new WatchRunRequest { RunId = run });
        await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) count += happened.Kind == kind ? 1 : 0;
        return count;
    }
}
