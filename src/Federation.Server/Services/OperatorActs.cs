using System.Text;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;
using Federation.Protocol;
using Federation.Server.Identity;
using Federation.Server.Runs;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Services;

/// <summary>Whatever an operator does has a line in the audit log: when it is done, and where the database did not answer, too.</summary>
public sealed partial class OperatorService
{
    /// <summary>What was done just now, and by whom.</summary>
    private void Record(ServerCallContext call, string kind, string what, string run = "") => context.Acts?.Record(kind, Who(call), what, run);

    /// <summary>What one commit does, to be recorded when it is done.</summary>
    /// <param name="isDone">Asks the database, which did not answer.</param>
    private T Try<T>(ServerCallContext call, string kind, string what, Func<T> act, Func<bool> isDone, Action? whenDone = null) => context.Acts is { } acts ? acts.Do(kind, Who(call), what, act, isDone, whenDone) : act();

    /// <summary>What one commit does, with its line.</summary>
    /// <inheritdoc cref="Try"/>
    private void Do(ServerCallContext call, string kind, string what, Action act, Func<bool> isDone)
    {
        Try(call, kind, what, () =>
        {
            act();
            return true;
        }, isDone);
        Record(call, kind, what);
    }

    /// <param name="mayBeOver">A refusal is none.</param>
    /// <exception cref="RpcException">The run refuses it.</exception>
    private void Apply(ServerCallContext call, RunHost run, Runs.RunEvent happened, string kind, string what, bool mayBeOver = false)
    {
        string who = Who(call); // the outcome may be known only when the call is over
        Transition transition = run.Apply(happened, isDone => context.Acts?.Tell(kind, who, what, isDone, run.Id));
        if (transition.Refused is { } refusal && !mayBeOver) throw RpcError.Refuse(StatusCode.FailedPrecondition, refusal, transition.Reason, "run_id");
        if (transition is { Refused: null, Duplicate: false }) Record(call, kind, what, run.Id);
    }

    private RunHost Add(ServerCallContext call, RunSpec spec, SubmitRunRequest request, string initialModel, SignedSubmission submission)
    {
        string who = Who(call), what = $"submitted the run '{spec.Name}', spec {Sha256Hex.Of(Encoding.UTF8.GetBytes(request.SpecYaml))}, {(submission.Submitter is { } signature ? $"signed with the key {signature.KeySha256}" : "unsigned")}.";
        RunHost added = runs.Add(spec, request.SpecYaml, request.SchemaYaml, initialModel, submission, (run, isDone) => context.Acts?.Tell(AdministrativeLog.Submitted, who, what, isDone, run.Id));
        Record(call, AdministrativeLog.Submitted, what, added.Id);
        return added;
    }

    private static string Who(ServerCallContext call) => CallerInterceptor.OperatorOf(call).ToString();
}
