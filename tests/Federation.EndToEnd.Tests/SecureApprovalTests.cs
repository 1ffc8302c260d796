using System.Security.Cryptography;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;
using Federation.Protocol;
using Federation.V1;

namespace Federation.EndToEnd.Tests;

/// <summary>A committee's work is work for a run: a site that waits for a signature has no part in its keys, and the others make them without it.</summary>
public sealed class SecureApprovalTests : IAsyncDisposable
{
    private readonly ECDsa _ann = ECDsa.Create(ECCurve.NamedCurves.nistP256), _bob = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private RunningSites _sites = null!;

    public async ValueTask DisposeAsync()
    {
        await _sites.DisposeAsync();
        _ann.Dispose();
        _bob.Dispose();
    }

    [Fact]
    public async Task Keys_WhileASiteWaitsForACosigner_AreMadeWithoutIt()
    {
        _sites = await RunningSites.StartAsync("a", "b", "c", "d");
        NodePolicy policy = new() { Approval = new(null, new(1, [new("bob", Sha256Hex.Of(_bob.ExportSubjectPublicKeyInfo()))]), null, null) };
        GatedLearner gate = _sites.Gate("a", heldRound: 2);
        _sites.Run("a", gate);
        _sites.Run(["b", "c"]);
        _sites.Run("d", policy: policy);
        string run = await _sites.SubmitAsync(rounds: 4, deadline: "20s", key: _ann);
        await _sites.Federation.WaitForAsync(run, "site-waits", happened => happened.Site == "d");
        await gate.Started.WaitAsync(TestContext.Current.CancellationToken); // round 1 is done, without d
        RunDetails before = await _sites.Federation.ShowAsync(run);
        Assert.Equal(["a", "b", "c"], before.SecureAggregation.Committee);
        Assert.Equal(["a", "b", "c"], before.Rounds[0].Contributors);
        string audit = new NodeFolder(_sites.Federation.NodeState("d")).Audit;
        Assert.DoesNotContain(AuditVerification.Of(audit).Entries, entry => entry.Kind == "key-epoch-refused"); // it was not asked

        SignedSubmission submission = before.Submission.ToDomain();
        byte[] approval = SignedSubmission.ToApprove(submission.ToSign(_sites.Federation.Sha256, before.SpecYaml, before.SchemaYaml));
        await _sites.Federation.Operator.ApproveRunAsync(new ApproveRunRequest { RunId = run, Approval = RunSignature.Of(_bob, approval).ToMessage() });
        await _sites.Federation.WaitForAsync(run, "site-ready", happened => happened.Site == "d");
        gate.Release();
        await _sites.EndedAsync();
        Assert.Equal(["a", "b", "c", "d"], (await _sites.Federation.ShowAsync(run)).Rounds[^1].Contributors);
    }

    [Fact] // after its update and before the sum is opened: only the committee's work asks it anything
    public async Task Member_WhosePolicyIsTightenedInMidRun_WaitsAndTheRunGoesOnWhenItIsSigned()
    {
        _sites = await RunningSites.StartAsync("a", "b", "c");
        GatedLearner gate = _sites.Gate("a", heldRound: 1);
        _sites.Run("a", gate);
        _sites.Run(["b", "c"]);
        string run = await _sites.SubmitAsync(rounds: 2, settings: "threshold: 3, maxOpenings: 1", key: _ann);
        await _sites.Federation.WaitForAsync(run, "contributed", happened => happened.Site == "c");
        await _sites.StopAsync("c");
        _sites.Run("c", policy: new() { Approval = new(null, new(1, [new("bob", Sha256Hex.Of(_bob.ExportSubjectPublicKeyInfo()))]), null, null) });
        gate.Release();
        await _sites.Federation.WaitForAsync(run, "site-waits", happened => happened.Site == "c");
        RunDetails waiting = await _sites.Federation.ShowAsync(run);
        byte[] approval = SignedSubmission.ToApprove(waiting.Submission.ToDomain().ToSign(_sites.Federation.Sha256, waiting.SpecYaml, waiting.SchemaYaml));
        await _sites.Federation.Operator.ApproveRunAsync(new ApproveRunRequest { RunId = run, Approval = RunSignature.Of(_bob, approval).ToMessage() });
        await _sites.Federation.WaitForAsync(run, "completed");
        Assert.Equal(["a", "b", "c"], (await _sites.Federation.ShowAsync(run)).Rounds[^1].Contributors);
    }

    [Fact] // a coordinator that asks it all the same
    public async Task Epoch_OfARunThatIsNotApproved_IsRefusedByAMember()
    {
        _sites = await RunningSites.StartAsync("a", "b", "c", "d");
        NodePolicy policy = new() { Approval = new([new("ann", Sha256Hex.Of(_ann.ExportSubjectPublicKeyInfo()))], null, null, null) };
        await using LyingCoordinator relay = await LyingCoordinator.StartAsync(_sites.Federation, "d");
        relay.Lie = task =>
        {
            if (task.CheckData is { } check) check.Run.SpecYaml += "#"; // then d is no part of the run, and is asked for its keys
            return task;
        };
        _sites.Run(["a", "b", "c"]);
        _sites.Run("d", coordinator: relay.Address, policy: policy);
        string run = await _sites.SubmitAsync(rounds: 1, deadline: "20s", key: _ann);
        await _sites.Federation.WaitForAsync(run, "completed");
        Assert.Contains(relay.Refusals, refusal => refusal.Contains($"it has not agreed to run {run}", StringComparison.Ordinal));
        Assert.Equal(["a", "b", "c"], (await _sites.Federation.ShowAsync(run)).SecureAggregation.Committee);
        await _sites.StopAsync("d");
    }
}
