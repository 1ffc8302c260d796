using System.Globalization;
using System.Security.Authentication;
using Federation.Formats;
using Federation.Protocol.Identity;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;

namespace Federation.Protocol;

/// <summary>Errors as rich gRPC statuses (google.rpc.Status with ErrorInfo and BadRequest), and back to what a user reads.</summary>
public static class RpcError
{
    private const string Domain = "federation.v1";

    // A status travels in trailers, of which clients take 64 kB; text grows there by a third, and the message up to ninefold.
    private const int LongestDetails = 20_000, LongestText = 2500;

    /// <param name="message">One sentence that says what is wrong and names the value.</param>
    /// <param name="field">The message field or file field it is about.</param>
    /// <param name="repair">What would be right.</param>
    public static RpcException Refuse(StatusCode code, Refusal reason, string message, string? field = null, string? repair = null) =>
        Refuse(code, reason, [new Problem(message, Field: field, Repair: repair)]);

    /// <summary>All problems at once; the status message is the first one's.</summary>
    public static RpcException Refuse(StatusCode code, Refusal reason, IReadOnlyList<Problem> problems)
    {
        var badRequest = new BadRequest();
        int room = LongestDetails;
        foreach (Problem problem in problems)
        {
            var violation = new BadRequest.Types.FieldViolation { Field = Shorten(FieldOf(problem)), Description = Shorten(problem.Message), Reason = Shorten(problem.Repair ?? "") };
            room -= violation.CalculateSize();
            if (room < 0)
            {
                badRequest.FieldViolations.Add(new BadRequest.Types.FieldViolation { Description = string.Create(CultureInfo.InvariantCulture, $"And {problems.Count - badRequest.FieldViolations.Count} more problems.") });
                break;
            }

            badRequest.FieldViolations.Add(violation);
        }

        string more = problems.Count > 1 ? string.Create(CultureInfo.InvariantCulture, $" (and {problems.Count - 1} more)") : "";
        return new Google.Rpc.Status
        {
            Code = (int)code,
            Message = Shorten(problems[0].Repair is { } repair ? $"{problems[0].Message} {repair}" : problems[0].Message) + more,
            Details = { Any.Pack(new ErrorInfo { Domain = Domain, Reason = reason.ToString() }), Any.Pack(badRequest) },
        }.ToRpcException();
    }

    /// <summary>The reason of a refusal, or null where the error came from elsewhere (a lost connection, say).</summary>
    public static Refusal? ReasonOf(RpcException error) =>
        error.GetRpcStatus()?.GetDetail<ErrorInfo>() is { Domain: Domain } info && System.Enum.TryParse(info.Reason, out Refusal reason) ? reason : null;

    public static bool Is(RpcException error, Refusal reason) => ReasonOf(error) == reason;

    /// <summary>What to tell the user; never empty.</summary>
    public static IReadOnlyList<Problem> Describe(RpcException error)
    {
        if (error.GetRpcStatus()?.GetDetail<BadRequest>() is { FieldViolations.Count: > 0 } details)
        {
            return [.. details.FieldViolations.Select(ToProblem)];
        }

        if (IsForeignCoordinator(error)) return [new Problem("Who answers there is not the coordinator of this federation: its certificate was refused.", Repair: "Check the address, and which credential belongs to it; of a token the last part says whom it is for, so one that was damaged there is taken to be another coordinator's: copy it anew.")];
        if (OutOfDateCause(error) is { } outOfDate) return [new Problem($"{outOfDate.Message}.", Repair: "Set the clock that is wrong; where both are right, start the coordinator, which renews its certificate by itself.")];
        if (Causes(error).OfType<HttpRequestException>().FirstOrDefault(cause => cause.HttpRequestError == HttpRequestError.ProxyTunnelError) is { } tunnel)
        {
            return [new Problem($"The coordinator cannot be reached: {tunnel.Message.TrimEnd('.', '"')}.", Repair: "Check the proxy that HTTPS_PROXY names, with the name and password that it wants, and that it allows CONNECT to the coordinator's host and port.")];
        }

        if (error.StatusCode == StatusCode.DeadlineExceeded) return [new Problem("The coordinator's answer did not come in time.", Repair: "It is asked again; if that goes on, look at the coordinator and at what is between.")];
        return error.StatusCode == StatusCode.Unavailable || Causes(error).Any(cause => cause is HttpRequestException)
            ? [new Problem($"The coordinator cannot be reached: {Innermost(error)}.", Repair: "Check its address, and that it is running.")]
            : [new Problem($"The coordinator answered {error.StatusCode}: {error.Status.Detail}")];
    }

    private static string Shorten(string text) => text.Length <= LongestText ? text : text[..LongestText] + "…";

    /// <summary>The TLS handshake failed because the coordinator's certificate is not of the federation whose credential was used.</summary>
    public static bool IsForeignCoordinator(RpcException error) => Causes(error).Any(cause => cause is AuthenticationException) && OutOfDateCause(error) is null;

    /// <summary>Why the TLS handshake failed, where the coordinator's certificate is of the federation but not in date; null: for another reason, or not at all.</summary>
    public static OutOfDateException? OutOfDateCause(RpcException error) => Causes(error).OfType<OutOfDateException>().FirstOrDefault();

    private static string FieldOf(Problem problem) =>
        problem.Line is { } line ? string.Create(CultureInfo.InvariantCulture, $"{problem.File}:{line}:{problem.Field}") : problem.Field ?? "";

    private static Problem ToProblem(BadRequest.Types.FieldViolation violation)
    {
        string? repair = violation.Reason.Length == 0 ? null : violation.Reason;
        string[] parts = violation.Field.Split(':', 3);
        return parts.Length == 3 && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int line)
            ? new Problem(violation.Description, parts[0].Length == 0 ? null : parts[0], line, parts[2].Length == 0 ? null : parts[2], repair)
            : new Problem(violation.Description, Field: violation.Field.Length == 0 ? null : violation.Field, Repair: repair);
    }

    private static string Innermost(RpcException error) => (Causes(error).LastOrDefault()?.Message ?? error.Status.Detail).TrimEnd('.');

    private static IEnumerable<Exception> Causes(RpcException error)
    {
        for (Exception? cause = error.Status.DebugException; cause is not null; cause = cause.InnerException) yield return cause;
    }
}
