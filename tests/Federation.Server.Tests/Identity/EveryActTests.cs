using System.Security.Cryptography;
using Federation.Formats.Runs;
using Federation.Privacy.Ledger;
using Federation.Protocol;
using Federation.Server.Identity;
using Federation.V1;

namespace Federation.Server.Tests.Identity;

/// <summary>Every call of operators that changes something has its line: a call that is new has to be put into one of the two lists here.</summary>
public sealed class EveryActTests : IAsyncLifetime
{
    /// <summary>Change nothing; an uploaded model is nothing without the run that is submitted with it.</summary>
    private static readonly string[] Reads = ["ListSites", "ListRuns", "ShowRun", "WatchRun", "ShowRoster", "ListModels", "ListOperators", "DownloadTranscripts", "DownloadModel", "UploadBlob"];

    private TestCoordinator _test = null!;

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync();

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public async Task Acts_EachCallThatChangesSomething_HasALineOfItsKind()
    {
        await _test.EnrolAllAsync("a", "b", "c");
        await _test.UploadAsync(Tiny.Model().ToBytes(), Tiny.Model().Sha256);
        using ECDsa ann = ECDsa.Create(ECCurve.NamedCurves.nistP256), bob = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string federation;
        using (CertificateAuthority ca = CertificateAuthority.Load(_test.Folder.Ca)) federation = ca.SpkiSha256;
        SignedSubmission submission = SignedSubmission.Make(federation, Tiny.Spec(), "", Tiny.Model().Sha256, ann);
        string run = "", secure = await _test.SubmitAsync(spec: Tiny.Spec().Replace("secureAggregation: none", "secureAggregation: { kind: threshold-bfv }", StringComparison.Ordinal));
        (string Call, string Kind, Func<Task> Act)[] acts =
        [
            ("InviteSite", "site-invited", async () => await _test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "d" })),
            ("RevokeSite", "site-revoked", async () => await _test.Operator.RevokeSiteAsync(new RevokeSiteRequest { Name = "d" })),
            ("IssueOperator", "operator-issued", async () => await _test.Operator.IssueOperatorAsync(new IssueOperatorRequest { Name = "ann", Role = "viewer" })),
            ("RevokeOperator", "operator-revoked", async () => await _test.Operator.RevokeOperatorAsync(new RevokeOperatorRequest { Name = "ann" })),
            ("SubmitRun", "run-submitted", async () =>
            {
                RunSubmission message = submission.ToMessage();
                run = (await _test.Operator.SubmitRunAsync(new SubmitRunRequest { SpecYaml = Tiny.Spec(), InitialModelSha256 = submission.InitialModelSha256, Nonce = message.Nonce, Submitter = message.Submitter })).RunId;
            }),
            ("ApproveRun", "run-approved", async () => await _test.Operator.ApproveRunAsync(new ApproveRunRequest { RunId = run, Approval = RunSignature.Of(bob, SignedSubmission.ToApprove(submission.ToSign(federation, Tiny.Spec(), ""))).ToMessage() })),
            ("PauseRuns", "run-paused", async () => await _test.Operator.PauseRunsAsync(new PauseRunsRequest { RunId = run })),
            ("ResumeRuns", "run-resumed", async () => await _test.Operator.ResumeRunsAsync(new ResumeRunsRequest { RunId = run })),
            ("RotateKeys", "keys-rotated", async () => await _test.Operator.RotateKeysAsync(new RotateKeysRequest { RunId = secure })),
            ("CancelRun", "run-cancelled", async () => await _test.Operator.CancelRunAsync(new CancelRunRequest { RunId = run })),
        ];
        Assert.Equal(Operator.Descriptor.Methods.Select(method => method.Name).Order(), Reads.Concat(acts.Select(act => act.Call)).Order());
        foreach ((string call, string kind, Func<Task> act) in acts)
        {
            int before = Kinds().Count(one => one == kind);
            await act();
            Assert.True(Kinds().Count(one => one == kind) == before + 1, $"{call} has no line '{kind}'");
        }

        string[] Kinds() => [.. AuditVerification.Of(_test.Folder.Audit).Entries.Select(entry => entry.Kind)];
    }
}
