using Federation.Cli.Results;
using Federation.Client;
using Federation.Formats;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Grpc.Core;
using static System.FormattableString;

namespace Federation.Cli.Verbs;

/// <summary>What <c>fed node check</c> finds out by calling the coordinator: the connection, whether this site is let in, the clock.</summary>
internal static class CoordinatorLines
{
    private static readonly TimeSpan ClockWorthSaying = TimeSpan.FromSeconds(5), ClockWrong = TimeSpan.FromMinutes(5);

    /// <summary>The coordinator, and the proxy on the way to it.</summary>
    public static string Way(Uri coordinator) => coordinator.GetLeftPart(UriPartial.Authority) + (CoordinatorChannel.ProxyFor(coordinator) is { } proxy ? $" (through the proxy {proxy.GetLeftPart(UriPartial.Authority)})" : "");

    /// <returns>Null: it could not be asked.</returns>
    public static async Task<CoordinatorAnswer?> AddAsync(List<CheckLine> lines, Uri coordinator, Credential credential, CancellationToken cancellationToken)
    {
        try
        {
            CoordinatorAnswer answer = await CoordinatorCheck.AskAsync(coordinator, credential, TimeProvider.System, cancellationToken);
            lines.Add(new CheckLine("connection", true, Invariant($"{Way(coordinator)} answered in {answer.RoundTrip.TotalMilliseconds:F1} ms, and lets site '{credential.Name}' in.")));
            lines.Add(Clock(answer.ClockAhead));
            return answer;
        }
        catch (RpcException error) when (!cancellationToken.IsCancellationRequested)
        {
            lines.AddRange(Refused(coordinator, error));
            return null;
        }
    }

    /// <param name="ahead">The coordinator's clock, of this machine's.</param>
    public static CheckLine Clock(TimeSpan ahead)
    {
        TimeSpan apart = ahead.Duration();
        string message = apart < ClockWorthSaying
            ? Invariant($"This machine's clock and the coordinator's are less than {ClockWorthSaying.TotalSeconds:F0} s apart.")
            : $"This machine's clock is {Said(apart)} {(ahead > TimeSpan.Zero ? "behind" : "ahead of")} the coordinator's.";
        return new CheckLine("clock", apart < ClockWrong, message, apart < ClockWorthSaying ? null : "Certificates and records carry times: let both machines follow a time server (NTP).");
    }

    private static string Said(TimeSpan apart) => apart.TotalDays >= 2 ? Invariant($"{apart.TotalDays:F1} days") : apart.TotalHours >= 2 ? Invariant($"{apart.TotalHours:F1} hours") : apart.TotalMinutes >= 2 ? Invariant($"{apart.TotalMinutes:F1} minutes") : Invariant($"{apart.TotalSeconds:F0} s");

    /// <summary>Filed under what has to be set right.</summary>
    private static IEnumerable<CheckLine> Refused(Uri coordinator, RpcException error)
    {
        if (RpcError.OutOfDateCause(error) is not null) return Lines("clock", error);
        if (RpcError.IsForeignCoordinator(error))
        {
            return [new CheckLine("connection", false, $"Who answers at {Way(coordinator)} is not the coordinator of the federation that enrolled this site: its certificate was refused.", "Check the address. A proxy or firewall that opens TLS connections has to let this one through as it is.")];
        }

        if (RpcError.ReasonOf(error) is { } reason) return Lines(reason is Refusal.Revoked or Refusal.ForeignCertificate or Refusal.ExpiredCertificate or Refusal.UnknownIdentity or Refusal.WrongRole or Refusal.NoCertificate ? "certificate" : "connection", error);
        if (error.StatusCode == StatusCode.Unimplemented) return [new CheckLine("connection", false, $"The coordinator at {Way(coordinator)} is older than this program and does not know this check.", "Ask its operator for an update.")];
        string repair = CoordinatorChannel.ProxyFor(coordinator) is null
            ? "Check the address, that the coordinator is running, and that firewalls let this machine open connections to it; where the way out is a proxy, set HTTPS_PROXY=http://proxy:3128 for this process."
            : "Check the proxy that HTTPS_PROXY names, with the name and password that it wants, and that it allows CONNECT to this host and port; a name in NO_PROXY is reached without it.";
        return [new CheckLine("connection", false, $"{Way(coordinator)}: {(error.StatusCode == StatusCode.DeadlineExceeded ? "there was no answer within 10 s." : RpcError.Describe(error)[0].Message)}", repair)];
    }

    private static IEnumerable<CheckLine> Lines(string check, RpcException error) => RpcError.Describe(error).Select(problem => new CheckLine(check, false, (problem with { Repair = null }).ToString(), problem.Repair));
}
