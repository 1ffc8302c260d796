using Federation.Formats.Configuration;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;
using Federation.Protocol;
using Federation.V1;
using Grpc.Core;
using Refusal = Federation.Privacy.SecureAggregation.Refusal;

namespace Federation.Client;

/// <summary>
/// Holds what came with a run against the signatures and hashes that this site's own policy asks for; no list of the coordinator's counts. A signed submission is one run, for good:
/// which one is written down before anything is done for it.
/// </summary>
/// <param name="federation">SHA-256 of the key of the CA that this site enrolled with.</param>
internal sealed class RunApproval(NodeFolder folder, string federation, NodePolicy policy)
{
    /// <summary>Of a run that came without.</summary>
    public static readonly SignedSubmission None = new("", [], null, []);

    /// <exception cref="ProtocolException">The bytes are none.</exception>
    public static SignedSubmission Read(RunDescription run)
    {
        try
        {
            return run.Submission.ToDomain();
        }
        catch (RpcException wrong)
        {
            throw new ProtocolException(Refusal.Malformed, $"What came with run {run.RunId} is no submission: {wrong.Status.Detail}");
        }
    }

    /// <summary>Whether both are one submission, whatever signatures have come to it; or nothing was kept.</summary>
    public static bool IsSame(SignedSubmission kept, SignedSubmission sent) => ReferenceEquals(kept, None) || kept.InitialModelSha256 == sent.InitialModelSha256 && kept.Nonce.AsSpan().SequenceEqual(sent.Nonce);

    /// <exception cref="ProtocolException">It is not what was signed, was signed for another run, or lacks what the policy asks for; <see cref="Refusal.AwaitsApproval"/> where that may still come.</exception>
    public void Require(LearningTask task, string specYaml, string schemaYaml, SignedSubmission submission)
    {
        if (policy.Approval is not { } asked) return;
        ApprovalAnswer answer = asked.Check(federation, specYaml, schemaYaml, submission, trains: task.Spec.Statistics is null);
        if (answer.Refusal is { } refusal) throw new ProtocolException(Refusal.NotApproved, refusal);
        string pin = PinOf(submission, specYaml, schemaYaml);
        if (asked.AsksForSignatures && File.Exists(pin) && File.ReadAllText(pin) is var other && other != task.RunId)
        {
            throw new ProtocolException(Refusal.SubmittedBefore, $"What was signed for run {other} is shown again for run {task.RunId}: a submission is one run. Whoever wants another submits it anew.");
        }

        if (answer.Missing.Count > 0) throw new ProtocolException(Refusal.AwaitsApproval, string.Join(" ", answer.Missing));
    }

    /// <summary>From here on the submission is this run, whatever the policy asks for today.</summary>
    public void Keep(RunDescription run, SignedSubmission submission)
    {
        if (submission.Nonce.Length == 0) return;
        string pin = PinOf(submission, run.SpecYaml, run.SchemaYaml);
        if (!File.Exists(pin)) WholeFile.Write(pin, run.RunId);
    }

    private string PinOf(SignedSubmission submission, string specYaml, string schemaYaml) => folder.Submission(Sha256Hex.Of(submission.ToSign(federation, specYaml, schemaYaml)));
}
