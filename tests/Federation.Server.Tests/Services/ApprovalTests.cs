using System.Security.Cryptography;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;
using Federation.Protocol;
using Federation.Server.Identity;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Services;

/// <summary>The coordinator keeps signatures and passes them on; it takes none that is of other bytes.</summary>
public sealed class ApprovalTests : IAsyncLifetime
{
    private readonly ECDsa _ann = ECDsa.Create(ECCurve.NamedCurves.nistP256), _bob = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private TestCoordinator _test = null!;

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync();

    public async ValueTask DisposeAsync()
    {
        _ann.Dispose();
        _bob.Dispose();
        await _test.DisposeAsync();
    }

    [Fact]
    public async Task Approve_ARightSignature_ReachesTheSitesAndTheAuditLogAndOutlivesACrash()
    {
        TestNode node = (await _test.EnrolAllAsync("a", "b", "c"))[0];
        SignedSubmission submission = await MakeAsync(_ann);
        string run = await SubmitAsync(submission);
        Assert.Equal(submission.ToMessage(), (await node.NextAsync()).CheckData.Run.Submission);
        RunSignature approval = RunSignature.Of(_bob, SignedSubmission.ToApprove(submission.ToSign(Federation, Tiny.Spec(), "")));
        var request = new ApproveRunRequest { RunId = run, Approval = approval.ToMessage() };
        Assert.Equal(approval.ToMessage(), Assert.Single((await _test.Operator.ApproveRunAsync(request)).Submission.Approvals));
        await _test.Operator.ApproveRunAsync(request); // again: nothing changes
        await _test.CrashAsync();
        await node.JoinAsync();
        Assert.Equal((submission with { Approvals = [approval] }).ToMessage(), (await node.NextAsync()).CheckData.Run.Submission);
        Assert.Equal([$"signed with the key {Sha256Hex.Of(_ann.ExportSubjectPublicKeyInfo())}.", $"with the key {approval.KeySha256}."],
            AuditVerification.Of(_test.Folder.Audit).Entries.Where(entry => entry.Kind is "run-submitted" or "run-approved").Select(entry => entry.What[^(entry.Kind == "run-submitted" ? 85 : 78)..]));
    }

    [Fact]
    public async Task Approve_AWrongSignature_IsRefused()
    {
        SignedSubmission submission = await MakeAsync(_ann);
        string run = await SubmitAsync(submission);
        byte[] signed = submission.ToSign(Federation, Tiny.Spec(), "");
        await RefusedAsync(RunSignature.Of(_bob, signed).ToMessage()); // as a submitter signs
        await RefusedAsync((RunSignature.Of(_bob, SignedSubmission.ToApprove(signed)) with { PublicKey = _ann.ExportSubjectPublicKeyInfo() }).ToMessage());
        await RefusedAsync(null);
        Assert.Empty((await _test.ShowAsync(run)).Submission.Approvals);

        Task RefusedAsync(KeySignature? approval) => Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, async () => await _test.Operator.ApproveRunAsync(new ApproveRunRequest { RunId = run, Approval = approval }), "");
    }

    [Fact]
    public async Task Submit_SignedOtherwise_IsRefusedAndUnsignedIsNot()
    {
        SignedSubmission submission = await MakeAsync(_ann);
        foreach (SignedSubmission wrong in new[] { submission with { Nonce = new byte[32] }, submission with { Nonce = [] }, submission with { Submitter = submission.Submitter! with { PublicKey = _bob.ExportSubjectPublicKeyInfo() } } })
        {
            await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => SubmitAsync(wrong), "");
        }

        string unsigned = await SubmitAsync(submission with { Nonce = [], Submitter = null });
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.FailedPrecondition, async () => await _test.Operator.ApproveRunAsync(new ApproveRunRequest
        {
            RunId = unsigned, Approval = RunSignature.Of(_bob, SignedSubmission.ToApprove((submission with { Nonce = [] }).ToSign(Federation, Tiny.Spec(), ""))).ToMessage(),
        }), "nobody can co-sign");
    }

    private string Federation
    {
        get
        {
            using CertificateAuthority ca = CertificateAuthority.Load(_test.Folder.Ca);
            return ca.SpkiSha256;
        }
    }

    private async Task<SignedSubmission> MakeAsync(ECDsa key)
    {
        await _test.UploadAsync(Tiny.Model().ToBytes(), Tiny.Model().Sha256);
        return SignedSubmission.Make(Federation, Tiny.Spec(), "", Tiny.Model().Sha256, key);
    }

    private async Task<string> SubmitAsync(SignedSubmission submission)
    {
        RunSubmission message = submission.ToMessage();
        return (await _test.Operator.SubmitRunAsync(new SubmitRunRequest { SpecYaml = Tiny.Spec(), InitialModelSha256 = submission.InitialModelSha256, Nonce = message.Nonce, Submitter = message.Submitter })).RunId;
    }
}
