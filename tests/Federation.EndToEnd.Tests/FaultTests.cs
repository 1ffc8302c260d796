using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Learning;
using Federation.V1;
using NodeRole = Federation.Formats.Configuration.NodeRole;

namespace Federation.EndToEnd.Tests;

/// <summary>Connections that break, parties that vanish: the run goes on and counts everything once.</summary>
public sealed class FaultTests
{
    [Fact]
    public async Task Upload_CutInTheMiddle_ResumesAtItsOffset()
    {
        const int values = 2_000_000; // an update of 8 MB
        await using TestFederation federation = await TestFederation.StartAsync();
        await federation.EnrollAsync("a");
        // The handshake and the calls before take some kilobytes; the cut falls within the upload.
        using var proxy = new CuttingProxy(federation.Coordinator.NodesAddress, cutAfter: 5_000_000);
        using ModuleLearner learner = OneVector.ManifoldLearner(values);
        Task<NodeOutcome> node = federation.RunNodeAsync("a", learner, coordinator: proxy.Address);
        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 1, least: 1), "", OneVector.Initial(values));

        Assert.Equal("completed", (await node).State);
        RoundSummary round = Assert.Single((await federation.ShowAsync(run)).Rounds);
        Assert.Equal(["a"], round.Contributors);
        Assert.True(proxy.Sent.Count >= 2, "the connection was never cut");
        // What the second connection sent is what the first had left over, within the size of one chunk.
        long left = proxy.Sent.Skip(1).Sum();
        Assert.InRange(left, 3_000_000, 8_000_000 - 5_000_000 + (2L << 20));
    }

    [Fact]
    public async Task Coordinator_RestartedInARound_GoesOnFromItsDatabase()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        foreach (string site in new[] { "a", "b" }) await federation.EnrollAsync(site);
        using var gate = new GatedLearner(SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, "b")), heldRound: 2);
        Task<NodeOutcome> a = federation.RunNodeAsync("a", SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, "a"))), b = federation.RunNodeAsync("b", gate);
        string spec = SyntheticSites.Spec(rounds: 3, least: 2);
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        await federation.WaitForAsync(run, "contributed", happened => happened.Round == 2 && happened.Site == "a");

        await federation.RestartCoordinatorAsync(); // round 2 is open, a has contributed, b is training
        RunDetails restored = await federation.ShowAsync(run);
        Assert.Equal(("training", 1u), (restored.Summary.State, restored.Summary.CompletedRounds));
        gate.Release();
        Assert.All(await Task.WhenAll(a, b), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        RunDetails details = await federation.ShowAsync(run);
        Assert.Equal([1u, 2u, 3u], details.Rounds.Select(round => round.Round));
        Assert.All(details.Rounds, round => Assert.Equal(["a", "b"], round.Contributors));
    }

    [Fact]
    public async Task Coordinator_RestartedBetweenSubmissionAndRounds_GoesOn()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        await federation.EnrollAsync("a");
        string spec = SyntheticSites.Spec(rounds: 2, least: 1);
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        await federation.RestartCoordinatorAsync();
        NodeOutcome outcome = await federation.RunNodeAsync("a", SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, "a")));
        Assert.Equal((run, "completed"), (outcome.RunId, outcome.State));
    }

    [Fact]
    public async Task Site_ThatNeverReturns_IsPassedOverAtTheDeadline()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        foreach (string site in new[] { "a", "b", "c" }) await federation.EnrollAsync(site);
        using var vanish = new CancellationTokenSource();
        using var stuck = new GatedLearner(SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, "c")), heldRound: 1);
        Task<NodeOutcome> a = federation.RunNodeAsync("a", SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, "a")));
        Task<NodeOutcome> b = federation.RunNodeAsync("b", SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, "b")));
        Task<NodeOutcome> c = federation.RunNodeAsync("c", stuck, cancellationToken: vanish.Token);
        string spec = SyntheticSites.Spec(rounds: 1, least: 2, deadline: "3s");
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        await federation.WaitForAsync(run, "round-opened");
        await stuck.Started;
        await vanish.CancelAsync();

        Assert.All(await Task.WhenAll(a, b), outcome => Assert.Equal("completed", outcome.State));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => c);
        RoundSummary round = (await federation.ShowAsync(run)).Rounds.First(round => round.State == "completed");
        Assert.Equal(["a", "b"], round.Contributors);
        Assert.Contains("c", round.Cohort);
    }

    [Fact]
    public async Task Site_RestartedAfterTraining_SendsTheStoredBytesAgain()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        await federation.EnrollAsync("a");
        using var proxy = new CuttingProxy(federation.Coordinator.NodesAddress, cutAfter: 2_000_000, passLater: false);
        using var first = new CancellationTokenSource();
        var counted = new CountingLearner(OneVector.ManifoldLearner(1_000_000));
        Task<NodeOutcome> node = federation.RunNodeAsync("a", counted, coordinator: proxy.Address, cancellationToken: first.Token);
        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 1, least: 1), "", OneVector.Initial(1_000_000));
        while (proxy.Sent.Count < 2 && !node.IsCompleted) await Task.Yield(); // the upload was cut
        await first.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => node);

        NodeOutcome outcome = await federation.RunNodeAsync("a", counted);
        Assert.Equal("completed", outcome.State);
        Assert.Equal(1, counted.Trained);
        Assert.Equal(run, outcome.RunId);
    }

    [Fact]
    public async Task Data_ThatDoesNotFit_IsRefusedWithEveryMismatch()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        (string Site, string? Text, string Expected)[] sites =
        [
            ("missing-file", null, "no such file"),
            ("wrong-column", "x,color,y\n0.5,red,1\n", "colour: The column is missing."),
            ("wrong-label", "x,colour,y\n0.5,red,2\n0.5,blue,1\n", "wrong-label.csv: y: A value there does not fit the schema."),
            ("empty", "x,colour,y\n", "no training row"),
        ];
        using var stop = new CancellationTokenSource();
        List<Task> nodes = [];
        foreach ((string site, string? text, string _) in sites)
        {
            await federation.EnrollAsync(site);
            DataSource source = text is null ? new DataSource("synthetic", Path.Combine(federation.Folder, "absent.csv")) : SyntheticSites.Write(federation.Folder, site, text: text);
            nodes.Add(federation.RunNodeAsync(site, SyntheticSites.Learner(source), cancellationToken: stop.Token));
        }

        string spec = SyntheticSites.Spec(least: 2);
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        RunEvent failed = await federation.WaitForAsync(run, "failed");
        RunDetails details = await federation.ShowAsync(run);
        Assert.Equal("failed", details.Summary.State);
        foreach ((string site, string? _, string expected) in sites)
        {
            RunSite? standing = details.Sites.FirstOrDefault(candidate => candidate.Name == site);
            if (standing?.State != "refused") continue; // the run failed as soon as it was hopeless; later answers were not needed
            Assert.Contains(expected, string.Join("\n", standing.Mismatches));
            Assert.Contains(site, failed.Message);
        }

        Assert.Contains(details.Sites, site => site.State == "refused");
        await Task.WhenAll(nodes); // RunEnded reaches the refused sites too
    }

    [Fact]
    public async Task Node_WithoutEnrolment_SaysWhatToDo()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        var error = await Assert.ThrowsAsync<Formats.InvalidInputException>(() => federation.RunNodeAsync("nobody", OneVector.Learner(1)));
        Assert.Contains("fed node enroll", error.Message);
    }

    [Fact]
    public async Task Node_OfAnotherFederation_IsToldSoAtOnce()
    {
        await using TestFederation federation = await TestFederation.StartAsync(), other = await TestFederation.StartAsync();
        await federation.EnrollAsync("a");
        var error = await Assert.ThrowsAsync<Formats.InvalidInputException>(() => federation.RunNodeAsync("a", OneVector.Learner(1), coordinator: other.Coordinator.NodesAddress));
        Assert.Contains("not of the federation", error.Message);
    }

    [Fact]
    public async Task Enrolment_AtAnotherFederation_KeepsTheToken()
    {
        await using TestFederation federation = await TestFederation.StartAsync(), other = await TestFederation.StartAsync();
        InviteSiteReply invitation = await federation.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "a" });
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        var error = await Assert.ThrowsAsync<Formats.InvalidInputException>(() => NodeEnrolment.EnrollAsync(other.Coordinator.NodesAddress, invitation.Token, federation.NodeState("a"), cancellation));
        Assert.Contains("the token was not sent", error.Message);
        Assert.Equal("a", await NodeEnrolment.EnrollAsync(federation.Coordinator.NodesAddress, invitation.Token, federation.NodeState("a"), cancellation));
        error = await Assert.ThrowsAsync<Formats.InvalidInputException>(() => NodeEnrolment.EnrollAsync(federation.Coordinator.NodesAddress, invitation.Token, federation.NodeState("b"), cancellation));
        Assert.Contains("used already", error.Message);
    }
}
