using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Protocol;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.V1;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using RunEvent = Federation.V1.RunEvent;

namespace Federation.Server.Tests.Services;

/// <summary>The coordinator is killed and goes on from what was on disk at that instant.</summary>
public sealed class RestartTests
{
    private static readonly ModelState Good = Tiny.Update(1, 2, 3, 4);

    [Fact]
    public async Task Restart_InAnOpenRound_KeepsContributionsOffsetsAndDeadline()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes);
        string model = test.StateOf(run).ModelSha256;
        DateTimeOffset deadline = Assert.IsType<RoundOpen>(test.StateOf(run).Phase).Deadline;
        await nodes[0].ContributeAsync(run, Good);
        await nodes[1].BeginAsync(run, 1, model, Good);
        await Assert.ThrowsAsync<RpcException>(() => nodes[1].SendAsync(run, 1, Good.ToBytes(), until: 30));

        await test.CrashAsync();
        Assert.Equal(deadline, Assert.IsType<RoundOpen>(test.StateOf(run).Phase).Deadline);
        Assert.Equal((ulong)Good.Header.FileLength, (await nodes[0].BeginAsync(run, 1, model, Good)).Offset); // counted before the crash
        Assert.Equal(30UL, (await nodes[1].BeginAsync(run, 1, model, Good)).Offset);
        await nodes[1].SendAsync(run, 1, Good, 30);
        await Tiny.RefusedAsync(Refusal.NotJoined, StatusCode.FailedPrecondition, nodes[2].NextAsync); // a node learns that it has to join again
        await nodes[2].JoinAsync();
        await nodes[2].ContributeAsync(run, Good);
        await test.SummedAsync(run);
        Assert.Equal(Good.Sha256, test.StateOf(run).ModelSha256);
    }

    [Fact]
    public async Task Restart_BetweenRounds_GoesOn()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 3));
        for (int round = 1; round <= 3; round++)
        {
            foreach (TestNode node in nodes) await node.ContributeAsync(run, Good);
            await test.SummedAsync(run);
            await test.CrashAsync();
            foreach (TestNode node in nodes) await node.JoinAsync();
        }

        Assert.Equal("completed", test.StateOf(run).PhaseName);
        Assert.Equal(new[] { 12f, 3, 6, 9 }, Tiny.Values(await test.DownloadAsync(test.StateOf(run).ModelSha256)));
        foreach (TestNode node in nodes) Assert.Equal(run, (await node.NextAsync()).RunEnded.RunId);
    }

    [Fact]
    public async Task Restart_WhileARoundIsSummed_SumsItAgainToTheSameModel()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1));
        await nodes[0].ContributeAsync(run, Good);
        await nodes[1].ContributeAsync(run, Good);
        RoundOpen open = Assert.IsType<RoundOpen>(test.StateOf(run).Phase);
        await nodes[2].BeginAsync(run, 1, test.StateOf(run).ModelSha256, Good);
        // What the disk holds if the process dies after the round was closed and before its sum was stored.
        RunState closed = test.StateOf(run) with { Phase = new Aggregating(open.OpenedAt, open.Cohort, open.Contributions) };
        await test.CrashAsync(folder =>
        {
            using var store = new SqliteStore(folder.Database);
            store.Save(new RunChange(run, System.Text.Json.JsonSerializer.Serialize(closed), false, [], [], [], []));
        });
        await test.SummedAsync(run);
        Assert.Equal(("completed", Good.Sha256), (test.StateOf(run).PhaseName, test.StateOf(run).ModelSha256));
        Assert.Empty(Directory.EnumerateFiles(test.Folder.Spool, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Restart_UploadsOfARoundLongOver_AreRemoved()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes);
        foreach (TestNode node in nodes) await node.ContributeAsync(run, Good);
        await test.SummedAsync(run);
        await test.CrashAsync(folder =>
        {
            Directory.CreateDirectory(Path.Combine(folder.Spool, run, "1"));
            File.WriteAllText(Path.Combine(folder.Spool, run, "1", "a"), "died before it was removed");
        });
        Assert.False(Directory.Exists(Path.Combine(test.Folder.Spool, run, "1")));
    }

    [Fact] // a model whose process died before it was recorded goes; models of rounds, the initial one, a round in the making and other people's files stay
    public async Task Restart_BlobsThatNoRecordNames_AreRemovedAndNoOthers()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 3));
        foreach (TestNode node in nodes) await node.ContributeAsync(run, Good);
        await test.SummedAsync(run);
        await nodes[0].ContributeAsync(run, Good);
        string[] named = [.. Directory.EnumerateFiles(test.Folder.Blobs).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        string orphan = new('e', 64);
        string[] foreign = ["notes.txt", new('E', 64), new('e', 63), orphan + ".bak"];
        await test.CrashAsync(folder =>
        {
            foreach (string name in foreign.Append(orphan)) File.WriteAllText(Path.Combine(folder.Blobs, name), name);
            Directory.CreateDirectory(Path.Combine(folder.Blobs, new string('d', 64)));
        });
        Assert.Equal(2, named.Length);
        Assert.Equal(foreign.Concat(named).Order(StringComparer.Ordinal), Directory.EnumerateFiles(test.Folder.Blobs).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        Assert.True(Directory.Exists(Path.Combine(test.Folder.Blobs, new string('d', 64))));
        foreach (TestNode node in nodes) await node.JoinAsync();
        for (int round = 2; round <= 3; round++)
        {
            foreach (TestNode node in nodes.Skip(round == 2 ? 1 : 0)) await node.ContributeAsync(run, Good);
            await test.SummedAsync(run);
        }

        Assert.Equal("completed", test.StateOf(run).PhaseName);
    }

    [Fact] // whoever starts on a new database by mistake still has the models
    public async Task Restart_WithoutADatabase_RemovesNoModel()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        await test.SubmitAsync();
        string[] blobs = Directory.GetFiles(test.Folder.Blobs);
        await test.CrashAsync(folder =>
        {
            foreach (string file in Directory.GetFiles(folder.Path, "state.db*")) File.Delete(file);
        });
        Assert.Equal(blobs.Select(blob => Path.GetFileName(blob)), Directory.GetFiles(test.Folder.Blobs).Select(blob => Path.GetFileName(blob)));
    }

    [Fact]
    public async Task Restart_AnUpdateOfTheClosedRoundIsDamagedOnDisk_FailsThatRunOnly()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes);
        await nodes[0].ContributeAsync(run, Good);
        await nodes[1].ContributeAsync(run, Good);
        string other = await test.SubmitAsync(), model = test.StateOf(run).ModelSha256;
        await test.CrashAsync(folder => File.Delete(Path.Combine(folder.Spool, run, "1", "b")));
        foreach (TestNode node in nodes) await node.JoinAsync();
        await nodes[2].BeginAsync(run, 1, model, Good);
        await nodes[2].SendAsync(run, 1, Good);
        await test.SummedAsync(run);
        Assert.Equal("failed", (await test.ShowAsync(run)).Summary.State);
        Assert.Contains("could not be aggregated", (await test.ShowAsync(run)).Summary.Reason, StringComparison.Ordinal);
        Assert.Equal("preparing", (await test.ShowAsync(other)).Summary.State);
    }

    [Fact]
    public async Task Restart_ARunThatThisProgramCannotRead_LeavesItOutAndStarts()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string broken = await test.SubmitAsync(), run = await test.SubmitAsync();
        await test.CrashAsync(folder =>
        {
            using var store = new SqliteStore(folder.Database);
            store.Save(new RunChange(broken, "{ not json", false, [], [], [], []));
        });
        Assert.Equal([run], (await test.Operator.ListRunsAsync(new ListRunsRequest())).Runs.Select(one => one.RunId));
        await nodes[0].JoinAsync();
        Assert.Equal(run, (await nodes[0].NextAsync()).CheckData.Run.RunId);
    }

    [Fact]
    public async Task Restart_EventsBeforeIt_AreToldAndNumberedOn()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1));
        await test.CrashAsync();
        foreach (TestNode node in nodes)
        {
            await node.JoinAsync();
            await node.ContributeAsync(run, Good);
        }

        await test.SummedAsync(run);
        List<RunEvent> seen = [];
        using AsyncServerStreamingCall<RunEvent> watch = test.Operator.WatchRun(new WatchRunRequest { RunId = run });
        await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) seen.Add(happened);
        Assert.Equal(Enumerable.Range(1, seen.Count).Select(i => (ulong)i), seen.Select(happened => happened.Sequence));
        Assert.Equal(["round-opened", "contributed", "contributed", "contributed", "round-closed", "model", "completed"], seen[^7..].Select(happened => happened.Kind));
    }

    [Fact]
    public async Task Start_FolderInUse_NamesIt()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => StartAsync(test, test.State, "127.0.0.1:0"));
        Assert.Contains("in use by another coordinator", error.Message, StringComparison.Ordinal);
        Assert.Contains(test.State, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_PortInUse_NamesTheAddress()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        await using TestCoordinator other = await TestCoordinator.StartAsync();
        await other.StopAsync();
        string taken = $"127.0.0.1:{test.Coordinator.NodesAddress.Port}";
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => StartAsync(test, other.State, taken));
        Assert.Contains(taken, error.Message, StringComparison.Ordinal);
        Assert.Contains("--nodes", error.Message, StringComparison.Ordinal);
        await other.ListenAsync(); // the failed start let go of the folder
    }

    [Fact]
    public async Task Start_AddressOfAnotherMachine_IsNamed()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        await test.StopAsync();
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => StartAsync(test, test.State, "203.0.113.7:8443"));
        Assert.Contains("203.0.113.7:8443", error.Message, StringComparison.Ordinal);
        await test.ListenAsync();
    }

    [Fact]
    public async Task Start_FolderWithoutAFederation_SaysHowToMakeOne()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => StartAsync(test, Path.GetTempPath(), "127.0.0.1:0"));
        Assert.Contains("fed server init", error.Message, StringComparison.Ordinal);
    }

    private static Task<Coordinator> StartAsync(TestCoordinator test, string state, string nodes) =>
        Coordinator.StartAsync(new ServerConfiguration { State = state, Nodes = nodes, Operators = "127.0.0.1:0" }, test.Time, NullLoggerFactory.Instance, TestContext.Current.CancellationToken);
}
