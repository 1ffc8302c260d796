using Federation.Formats.Runs;
using Federation.Protocol;
using Federation.Server.Identity;
using Federation.Server.Runs;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Services;

/// <summary>Signatures of runs: kept and passed on to the sites, which judge them. Here a signature is only held against the bytes it should be of, so that a mistake is found where it was made.</summary>
public sealed partial class OperatorService
{
    public override Task<RunDetails> ApproveRun(ApproveRunRequest request, ServerCallContext call)
    {
        RunHost run = Find(request.RunId);
        RunSignature approval = (request.Approval ?? new KeySignature()).ToDomain();
        if (run.State.Submission is { } submission && !approval.Signs(SignedSubmission.ToApprove(submission.ToSign(ca.SpkiSha256, run.Record.SpecYaml, run.Record.SchemaYaml))))
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"The signature is none of the key sha256:{approval.KeySha256} over an approval of run {run.Id}.", "approval", "`fed run approve` signs what has to be signed.");
        }

        Apply(call, run, new ApprovalSigned(approval), AdministrativeLog.Approved, $"co-signed the run '{run.Record.Name}' with the key {approval.KeySha256}.");
        return Task.FromResult(Describe(run));
    }

    private SignedSubmission RequireSubmission(SubmitRunRequest request)
    {
        SignedSubmission submission = new RunSubmission { InitialModelSha256 = request.InitialModelSha256, Nonce = request.Nonce, Submitter = request.Submitter }.ToDomain();
        if (submission.Submitter?.Signs(submission.ToSign(ca.SpkiSha256, request.SpecYaml, request.SchemaYaml)) == false)
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, "The signature is not of this spec, schema, initial model and federation.", "submitter", "`fed run submit` signs what it sends.");
        }

        if (submission.Submitter is not null && submission.Nonce.Length == 0) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, "A submission that is signed needs a nonce.", "nonce", $"{SignedSubmission.NonceBytes} random bytes are right.");
        return submission;
    }
}
