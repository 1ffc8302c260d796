using System.Security.Cryptography;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;
using Federation.Protocol;
using Federation.V1;

namespace Federation.EndToEnd.Tests;

/// <summary>Sites whose policy asks who signed a run, over the network: nothing else is trained there, whatever the coordinator says, and what still lacks a signature waits for it.</summary>
public sealed class ApprovalTests : IAsyncDisposable
{
    private static readonly string[] s_sites = ["a", "b", "c"];
    private static readonly ModelState s_initial = OneVector.Initial(4);

    private readonly ECDsa _ann = ECDsa.Create(ECCurve.NamedCurves.nistP256), _bob = ECDsa.Create(ECCurve.NamedCurves.nistP256), _eve = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly Dictionary<string, (Task Task, CancellationTokenSource Stop)> _nodes = [];
    private TestFederation _federation = null!;
    private LyingCoordinator? _relay;

    public async ValueTask DisposeAsync()
    {
        foreach (string site in _nodes.Keys.ToArray()) await StopAsync(site);
        if (_relay is not null) await _relay.DisposeAsync();
        foreach (ECDsa key in new[] { _ann, _bob, _eve }) key.Dispose();
        await _federation.DisposeAsync();
    }

    [Fact] // unsigned, by a stranger, right, and the right one a second time: to nodes that have started anew
    public async Task Run_AtSitesWithSubmitters_IsTrainedWhereOneOfThemSignedAndOnce()
    {
        await StartAsync(Submitters());
        Assert.Contains("The run is not signed", (await EndAsync(Submit(null))).Message, StringComparison.Ordinal);
        Assert.Contains($"the key sha256:{HashOf(_eve)}", (await EndAsync(Submit(_eve))).Message, StringComparison.Ordinal);
        SignedSubmission right = Submit(_ann);
        Assert.Equal("completed", (await EndAsync(right)).Kind);
        Assert.Contains("What was signed for run", (await EndAsync(right)).Message, StringComparison.Ordinal);
        foreach (string site in s_sites) await StopAsync(site);
        foreach (string site in s_sites) Run(site, Submitters());
        Assert.Contains("What was signed for run", (await EndAsync(right)).Message, StringComparison.Ordinal);
        Assert.Equal("completed", (await EndAsync(Submit(_ann))).Kind); // submitted anew
        Assert.Contains(s_sites.Select(site => new NodeFolder(_federation.NodeState(site)).Audit).Where(File.Exists).SelectMany(audit => AuditVerification.Of(audit).Entries), entry => entry.What.Contains("is not signed", StringComparison.Ordinal));
    }

    [Fact] // without a restart of any node, and over one
    public async Task Run_AtSitesWithCosigners_WaitsForThemAndGoesOn()
    {
        NodePolicy policy = new() { Approval = new([Named("ann", _ann)], new(1, [Named("bob", _bob)]), null, null) };
        await StartAsync(policy);
        SignedSubmission submission = Submit(_ann);
        string run = await SendAsync(submission);
        foreach (string site in s_sites) await _federation.WaitForAsync(run, "site-waits", happened => happened.Site == site);
        await StopAsync("a");
        Run("a", policy);
        await WaitsAsync("a", 2);
        RunDetails waiting = await _federation.ShowAsync(run);
        Assert.All(waiting.Sites, site => Assert.Equal(("awaiting", "This site waits for co-signatures: 0 of 1 are there, and 'bob' can still sign (`fed run approve`)."), (site.State, site.Mismatches.Single())));
        Assert.Empty(waiting.Rounds);

        byte[] approval = SignedSubmission.ToApprove(submission.ToSign(_federation.Sha256, Spec, ""));
        await _federation.Operator.ApproveRunAsync(new ApproveRunRequest { RunId = run, Approval = RunSignature.Of(_eve, approval).ToMessage() }); // right, and of nobody that counts
        await WaitsAsync("a", 3);
        await _federation.Operator.ApproveRunAsync(new ApproveRunRequest { RunId = run, Approval = RunSignature.Of(_bob, approval).ToMessage() });
        await _federation.WaitForAsync(run, "completed");
        RunDetails done = await _federation.ShowAsync(run);
        Assert.Equal(s_sites, done.Rounds[0].Contributors);
        Assert.Equal(2, done.Submission.Approvals.Count);

        // It has said so that often.
        Task WaitsAsync(string site, int times)
        {
            int seen = 0;
            return _federation.WaitForAsync(run, "site-waits", happened => happened.Site == site && ++seen == times);
        }
    }

    [Theory] // with too few others: its policy asks for a signature more, or its record of the run is gone
    [InlineData(true)]
    [InlineData(false)]
    public async Task Run_WhoseSiteCannotGoOnYet_WaitsForItAndGoesOn(bool isTightened)
    {
        await StartAsync(Submitters());
        using var gate = new GatedLearner(new SteppingLearner(1), heldRound: 2);
        await StopAsync("c");
        Run("c", Submitters(), learner: gate);
        string spec = OneVector.Spec(rounds: 2, least: 3);
        SignedSubmission submission = SignedSubmission.Make(_federation.Sha256, spec, "", s_initial.Sha256, _ann);
        string run = await _federation.SubmitAsync(spec, "", s_initial, submission);
        await gate.Started;
        await StopAsync("c");
        if (!isTightened) File.Delete(Path.Combine(new NodeFolder(_federation.NodeState("c")).Run(run), "spec.yaml"));
        Run("c", isTightened ? new() { Approval = Submitters().Approval! with { Cosigners = new(1, [Named("bob", _bob)]) } } : Submitters());
        if (isTightened)
        {
            await _federation.WaitForAsync(run, "site-waits", happened => happened.Site == "c");
            Assert.Equal("awaiting", (await _federation.ShowAsync(run)).Sites.Single(site => site.Name == "c").State);
            await _federation.WaitForAsync(run, "round-abandoned");
            await _federation.Operator.ApproveRunAsync(new ApproveRunRequest { RunId = run, Approval = RunSignature.Of(_bob, SignedSubmission.ToApprove(submission.ToSign(_federation.Sha256, spec, ""))).ToMessage() });
        }

        await _federation.WaitForAsync(run, "completed");
        Assert.Equal(s_sites, (await _federation.ShowAsync(run)).Rounds[^1].Contributors);
    }

    [Theory] // the coordinator changes what one site is told
    [InlineData("spec", "another than was signed")]
    [InlineData("schema", "another than was signed")]
    [InlineData("model", "another than was signed")]
    [InlineData("nonce", "another than was signed")]
    [InlineData("first round", "Round 1 is to begin with the model")]
    [InlineData("evaluation", "another spec, schema or initial model")]
    public async Task Run_ACoordinatorThatChangesWhatWasSigned_IsRefused(string what, string says)
    {
        _federation = await TestFederation.StartAsync();
        foreach (string site in s_sites) await _federation.EnrollAsync(site);
        _relay = await LyingCoordinator.StartAsync(_federation, "a");
        string planted = _relay.Plant(new ModelState(s_initial.Tensors.Select(tensor => tensor with { Values = [.. tensor.Values.Select(value => value + 1)] })).ToBytes());
        _relay.Lie = task =>
        {
            switch (what)
            {
                case "spec" when task.CheckData is { } check: check.Run.SpecYaml += "\n"; break;
                case "schema" when task.CheckData is { } check: check.Run.SchemaYaml = "name: s\ncolumns:\n  - { name: y, kind: label, categories: [0, 1] }\n"; break;
                case "model" when task.CheckData is { } check: (check.ModelSha256, check.Run.Submission.InitialModelSha256) = (planted, planted); break;
                case "nonce" when task.CheckData is { } check: check.Run.Submission.Nonce = Google.Protobuf.ByteString.CopyFrom(new byte[SignedSubmission.NonceBytes]); break;
                case "first round" when task.Train is { Round: 1 } train: train.ModelSha256 = planted; break;
                case "evaluation" when task.Evaluate is { } evaluate: evaluate.Run.Submission = Submit(_ann, "evaluate: { every: 1 }").ToMessage(); break;
            }

            return task;
        };
        Run("a", Submitters(), _relay.Address);
        foreach (string site in s_sites[1..]) Run(site, Submitters());
        string run = await SendAsync(Submit(_ann, "evaluate: { every: 1 }"), "evaluate: { every: 1 }");
        if (what is "first round" or "evaluation")
        {
            // Of a round in which "a" did not do what it was told, the others' updates alone count.
            await _federation.WaitForAsync(run, "site-failed", happened => happened.Site == "a" && happened.Message.Contains(says, StringComparison.Ordinal));
        }
        else
        {
            await _federation.WaitForAsync(run, "failed", happened => happened.Message.Contains("a: ", StringComparison.Ordinal) && happened.Message.Contains(says, StringComparison.Ordinal));
            Assert.Empty(Directory.EnumerateFiles(new NodeFolder(_federation.NodeState("a")).Updates(run)));
        }

        Assert.Contains(AuditVerification.Of(new NodeFolder(_federation.NodeState("a")).Audit).Entries, entry => entry.What.Contains(says, StringComparison.Ordinal));
    }

    [Fact] // a round of the coordinator's own counting each time: one that was signed, and three that may have to be repeated
    public async Task Run_ACoordinatorThatAsksForRoundAfterRound_GetsNoMoreThanWereSigned()
    {
        _federation = await TestFederation.StartAsync();
        foreach (string site in s_sites) await _federation.EnrollAsync(site);
        _relay = await LyingCoordinator.StartAsync(_federation, "a");
        uint asked = 0;
        _relay.Lie = task =>
        {
            if (task.Train is { } train) train.Round = ++asked + 1;
            return task;
        };
        Task refused = _relay.Refused;
        Run("a", Submitters(), _relay.Address);
        foreach (string site in s_sites[1..]) Run(site, Submitters());
        string run = await SendAsync(Submit(_ann));
        await refused.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Contains("for 4 rounds, and 4 are the most; round 6 gets none", _relay.Refusals.First(), StringComparison.Ordinal);
        Assert.Equal([2, 3, 4, 5], LedgerVerification.Of(new NodeFolder(_federation.NodeState("a")).Ledger, "own-data").Records.OfType<ReservedRecord>().Where(record => record.Release.Run == run).Select(record => record.Release.Round));
        Assert.Contains(AuditVerification.Of(new NodeFolder(_federation.NodeState("a")).Audit).Entries, entry => entry.What.Contains("4 are the most", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Run_AtSitesThatApproveByHash_IsTheOnlyOneThatRuns()
    {
        string spec = SignedSubmission.SpecSha256(Spec, "", s_initial.Sha256);
        NodePolicy policy = new() { Approval = new(null, null, [spec], [s_initial.Sha256]) };
        await StartAsync(policy);
        Assert.Equal("completed", (await EndAsync(Submit(null))).Kind);
        string other = await SendAsync(Submit(null, "# another byte"), "# another byte");
        string another = SignedSubmission.SpecSha256($"{Spec}\n# another byte", "", s_initial.Sha256);
        await _federation.WaitForAsync(other, "site-waits", happened => happened.Site == "a" && happened.Message.Contains($"has not approved the spec sha256:{another}", StringComparison.Ordinal));
        // Its administrator approves it and starts the node again; the run was not given up.
        foreach (string site in s_sites)
        {
            await StopAsync(site);
            Run(site, policy with { Approval = policy.Approval! with { Specs = [another] } });
        }

        await _federation.WaitForAsync(other, "completed");
    }

    private static string Spec { get; } = OneVector.Spec(rounds: 1, least: 3);

    private NodePolicy Submitters() => new() { Approval = new([Named("ann", _ann), Named("bob", _bob)], null, null, null) };

    private async Task StartAsync(NodePolicy policy)
    {
        _federation = await TestFederation.StartAsync();
        foreach (string site in s_sites) await _federation.EnrollAsync(site);
        foreach (string site in s_sites) Run(site, policy);
    }

    private void Run(string site, NodePolicy policy, Uri? coordinator = null, ILocalLearner? learner = null)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        _nodes[site] = (_federation.RunNodeAsync(site, learner ?? new SteppingLearner(1), coordinator: coordinator, cancellationToken: stop.Token, policy: policy, exitAfterRun: false), stop);
    }

    private async Task StopAsync(string site)
    {
        (Task task, CancellationTokenSource stop) = _nodes[site];
        await stop.CancelAsync();
        await task.ContinueWith(_ => { }, TaskScheduler.Default);
        stop.Dispose();
        _nodes.Remove(site);
    }

    private SignedSubmission Submit(ECDsa? key, string extra = "") => SignedSubmission.Make(_federation.Sha256, With(extra), "", s_initial.Sha256, key);

    private Task<string> SendAsync(SignedSubmission submission, string extra = "") => _federation.SubmitAsync(With(extra), "", s_initial, submission);

    private async Task<RunEvent> EndAsync(SignedSubmission submission)
    {
        string run = await SendAsync(submission);
        using Grpc.Core.AsyncServerStreamingCall<RunEvent> watch = _federation.Operator.WatchRun(new WatchRunRequest { RunId = run });
        RunEvent last = new();
        while (await watch.ResponseStream.MoveNext(TestContext.Current.CancellationToken)) last = watch.ResponseStream.Current;
        return last;
    }

    private static string With(string extra) => extra.Length == 0 ? Spec : $"{Spec}\n{extra}";

    private static NamedKey Named(string name, ECDsa key) => new(name, HashOf(key));

    private static string HashOf(ECDsa key) => Sha256Hex.Of(key.ExportSubjectPublicKeyInfo());
}
