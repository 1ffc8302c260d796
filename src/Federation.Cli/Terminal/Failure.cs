using System.Net.Sockets;
using Federation.Cli.CommandLine;
using Federation.Formats;
using Federation.Formats.Models;
using Federation.Learning;
using Federation.Privacy.Ledger;
using Federation.Protocol;
using Grpc.Core;

namespace Federation.Cli.Terminal;

/// <summary>What an exception means to the user: an exit code and what to say.</summary>
internal static class Failure
{
    public static (int Code, IReadOnlyList<Problem> Problems) Of(Exception exception) => exception switch
    {
        InvalidInputException input => (ExitCode.WrongInput, input.Problems),
        LearningException or SafetensorsException => (ExitCode.WrongInput, [new Problem(exception.Message)]),
        RpcException call => (IsAboutInput(call) ? ExitCode.WrongInput : ExitCode.Failed, RpcError.Describe(call)),
        LedgerException or BudgetExceededException or IOException or UnauthorizedAccessException or SocketException => (ExitCode.Failed, [new Problem(exception.Message)]),
        _ => (ExitCode.Failed, [new Problem($"{exception.GetType().Name}: {exception.Message}", Repair: "This is a fault of fed; FED_DEBUG=1 shows where.")]),
    };

    /// <summary>Whether a call ended because it was called off here.</summary>
    public static bool IsCancellation(Exception exception) => exception is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled };

    /// <summary>A refusal by the coordinator of what the user asked for, not a trouble of the coordinator's own.</summary>
    private static bool IsAboutInput(RpcException call) => RpcError.ReasonOf(call) is not null && call.StatusCode is
        StatusCode.InvalidArgument or StatusCode.NotFound or StatusCode.AlreadyExists or StatusCode.FailedPrecondition
        or StatusCode.OutOfRange or StatusCode.PermissionDenied or StatusCode.Unauthenticated;
}
