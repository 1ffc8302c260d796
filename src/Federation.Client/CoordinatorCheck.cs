using System.Diagnostics;
using Federation.Privacy.Ledger;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.V1;
using Grpc.Core;
using LedgerHead = Federation.Privacy.Ledger.LedgerHead;

namespace Federation.Client;

/// <param name="RoundTrip">Of one call over a connection that stands.</param>
/// <param name="ClockAhead">How much the coordinator's clock is ahead of this machine's, to half a round trip; negative: behind.</param>
/// <param name="LedgerHeads">The latest of this site's privacy ledgers that the coordinator has seen, one a data set.</param>
public sealed record CoordinatorAnswer(TimeSpan RoundTrip, TimeSpan ClockAhead, IReadOnlyList<LedgerHead> LedgerHeads);

/// <summary>Asks the coordinator whether it would let this site in. Joins nothing.</summary>
public static class CoordinatorCheck
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <exception cref="RpcException">The coordinator cannot be reached within 10 s, or does not take this site's certificate or version: <see cref="RpcError.Describe"/>.</exception>
    public static async Task<CoordinatorAnswer> AskAsync(Uri address, Credential credential, TimeProvider time, CancellationToken cancellationToken)
    {
        using var link = new CoordinatorLink(address, credential, time);
        var client = new Node.NodeClient(link);
        await AskAsync(); // dials
        DateTimeOffset sent = time.GetUtcNow();
        long began = Stopwatch.GetTimestamp();
        CheckReply reply = await AskAsync();
        TimeSpan roundTrip = Stopwatch.GetElapsedTime(began);
        return new CoordinatorAnswer(roundTrip, DateTimeOffset.FromUnixTimeMilliseconds(reply.NowUnixMs) - (sent + (roundTrip / 2)), [.. reply.LedgerHeads.Select(head => head.ToDomain())]);

        AsyncUnaryCall<CheckReply> AskAsync() => client.CheckAsync(new CheckRequest { ProtocolVersion = ProtocolVersion.Current }, deadline: DateTime.UtcNow + Patience, cancellationToken: cancellationToken);
    }
}
