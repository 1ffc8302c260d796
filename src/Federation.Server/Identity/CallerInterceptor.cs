using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Identity;

/// <summary>Which listener a connection came in on; a feature of the connection.</summary>
public sealed record Listener(bool IsOperators);

/// <summary>
/// Checks who calls before any service sees the message: TLS has proven the key, this decides whether the certificate may do it. The site is the certificate's subject and its key the registered one.
/// A call under way ends when its site's key no longer counts. Turns what services throw into rich statuses, and counts message bytes of the nodes.
/// </summary>
public sealed class CallerInterceptor(SeenCertificates certificates, RunContext shared, OpenCalls calls, OperatorAccess operators) : Interceptor
{
    private const string SiteKey = "site", OperatorKey = "operator", HttpKey = "__HttpContext", Enrolment = "/federation.v1.Enrolment/", Node = "/federation.v1.Node/", Operator = "/federation.v1.Operator/";

    private long _saidFull; // timestamp; 0: never

    // What an ended call's handler is given to stop by itself; one that is stuck, say on a reader that takes nothing, is not waited for.
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(300);

    /// <summary>The authenticated site of a call to the Node service.</summary>
    public static string SiteOf(ServerCallContext context) => (string)context.UserState[SiteKey];

    /// <summary>The authenticated operator of a call to the Operator service.</summary>
    public static OperatorIdentity OperatorOf(ServerCallContext context) => (OperatorIdentity)context.UserState[OperatorKey];

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        TResponse response = await Guard(context, endable => continuation(request, endable));
        Count(context, request, response);
        return response;
    }

    public override Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(IAsyncStreamReader<TRequest> requests, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation) =>
        Guard(context, endable => continuation(requests, endable));

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(TRequest request, IServerStreamWriter<TResponse> responses, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation) =>
        Guard(context, async endable =>
        {
            await continuation(request, responses, endable);
            return true;
        });

    /// <summary>What the site is told whose key was taken from it.</summary>
    public static RpcException Revoked(string site) => RpcError.Refuse(
        StatusCode.Unauthenticated, Refusal.Revoked, $"The key of site '{site}' was revoked by the operator of the coordinator.", repair: "To take part again, ask the operator for a new invitation and enrol with a new key: `fed node enroll` in a new state folder, to which ledger.db* and ledger.key* of the old one are brought first.");

    /// <summary>What a caller is told whose key is not, or no longer, the site's.</summary>
    public static RpcException AnotherKey(string site) => RpcError.Refuse(
        StatusCode.Unauthenticated, Refusal.UnknownIdentity, $"This key is not the registered one of site '{site}'.", repair: "The site was enrolled again elsewhere, or not with this coordinator; enrol with a new invitation.");

    private async Task<T> Guard<T>(ServerCallContext context, Func<ServerCallContext, Task<T>> call)
    {
        try
        {
            using OpenCall? open = Authenticate(context);
            return open is null ? await call(context) : await UnlessEndedAsync(open, call(new EndableContext(context, open.Token)));
        }
        catch (InvalidInputException error)
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, error.Problems);
        }
        catch (ActNotRecordedException error)
        {
            throw RpcError.Refuse(StatusCode.Internal, Refusal.StorageFull, error.Message, repair: "Do not ask for it again. The coordinator's own log has the line, and the audit log gets it when there is room; its operator must make some.");
        }
        catch (StoreUnavailableException error)
        {
            throw RpcError.Refuse(StatusCode.Unavailable, Refusal.StorageUnavailable, error.IsUncertain
                ? "The coordinator's database went away in the middle of this call; whether it took it is not known yet."
                : "The coordinator's database does not answer; nothing was taken.", repair: "It goes on by itself when the database is back; try again then.");
        }
        catch (Exception error) when (DiskFull.Is(error))
        {
            SayFull(error);
            throw RpcError.Refuse(StatusCode.ResourceExhausted, Refusal.StorageFull, "The coordinator's disk is full; nothing was taken.", repair: "Its operator must make room; try again then.");
        }
        catch (Exception error) when (error is not (RpcException or OperationCanceledException) && !context.CancellationToken.IsCancellationRequested)
        {
            shared.Logger.LogError(error, "{Method} failed", context.Method);
            throw new RpcException(new Status(StatusCode.Internal, "The coordinator failed; its log has the details."));
        }
    }

    /// <summary>Every site's calls meet it; a line a minute says it.</summary>
    private void SayFull(Exception error)
    {
        long now = shared.Time.GetTimestamp(), said = Interlocked.Read(ref _saidFull);
        if (said != 0 && shared.Time.GetElapsedTime(said, now) < TimeSpan.FromMinutes(1)) return;
        if (Interlocked.CompareExchange(ref _saidFull, now, said) == said) shared.Logger.LogError("The coordinator's disk is full, calls that need room are refused: {Message}", error.Message);
    }

    private static async Task<T> UnlessEndedAsync<T>(OpenCall open, Task<T> work)
    {
        await Task.WhenAny(work, open.Refused);
        if (!open.Refused.IsCompletedSuccessfully) return await work;
        // With the handler over, the status ends the stream in order; the clock of tests that stands still must not hold this up.
        await Task.WhenAny(work, Task.Delay(Grace));
        _ = work.ContinueWith(over => over.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        throw await open.Refused;
    }

    /// <returns>A node's or operator's call, to be disposed when it is over; null: of another service.</returns>
    private OpenCall? Authenticate(ServerCallContext context)
    {
        HttpContext http = context.GetHttpContext();
        bool onOperators = http.Features.GetRequiredFeature<Listener>().IsOperators;
        if (context.Method.StartsWith(Operator, StringComparison.Ordinal) != onOperators)
        {
            throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.WrongRole, "This service is not on this port.", repair: onOperators ? "Nodes use the coordinator's other port (8443)." : "Operators use the coordinator's other port (8444).");
        }

        if (context.Method.StartsWith(Enrolment, StringComparison.Ordinal)) return null;
        if (onOperators) return AuthenticateOperator(context, http);
        X509Certificate2 certificate = RequireCertificate(http, onOperators);
        (CertificateRole? role, string? name, string key) = certificates.FactsOf(certificate);
        if (role != CertificateRole.Site || name is null || !Names.IsSiteName(name)) throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.WrongRole, "Only a site's certificate may act as a node.");
        OpenCall open = Begin(name, () => RequireKey(name, key), context, http);
        context.UserState[SiteKey] = name;
        shared.Sessions.Touch(name);
        return open;
    }

    private OpenCall AuthenticateOperator(ServerCallContext context, HttpContext http)
    {
        OperatorProof shown = OperatorAccess.OfHeader(context.RequestHeaders) ?? OperatorAccess.OfCertificate(RequireCertificate(http, onOperators: true));
        return Begin(OperatorAccess.KeyOf(shown.Name), () =>
        {
            OperatorIdentity who = operators.Require(shown);
            OperatorAccess.RequireRole(who, context.Method);
            context.UserState[OperatorKey] = who;
        }, context, http);
    }

    /// <summary>Before the look: what is revoked in this moment is seen, or ends the call.</summary>
    private OpenCall Begin(string caller, Action look, ServerCallContext context, HttpContext http)
    {
        OpenCall open = calls.Begin(caller, context.CancellationToken);
        try
        {
            look();
        }
        catch
        {
            open.Dispose();
            throw;
        }

        context.UserState[HttpKey] = http; // where GetHttpContext, which ASP.NET itself calls, looks for it in a context that is not its own
        return open;
    }

    private X509Certificate2 RequireCertificate(HttpContext http, bool onOperators)
    {
        X509Certificate2 certificate = http.Connection.ClientCertificate
            ?? throw RpcError.Refuse(StatusCode.Unauthenticated, Refusal.NoCertificate, "The call came without a certificate.", repair: onOperators ? "Use the admin credential that `fed server init` wrote, or what `fed operator issue` made." : "Enrol first: `fed node enroll`.");
        switch (certificates.StatusOf(certificate))
        {
            case CertificateStatus.Foreign:
                throw RpcError.Refuse(StatusCode.Unauthenticated, Refusal.ForeignCertificate, "The certificate was not issued by this federation.", repair: onOperators ? "Name the credential of this federation with --credential." : "Enrol at this coordinator with an invitation of its operator.");
            case CertificateStatus.OutOfDate:
                throw RpcError.Refuse(StatusCode.Unauthenticated, Refusal.ExpiredCertificate, $"The certificate is valid from {certificate.NotBefore.ToUniversalTime():u} to {certificate.NotAfter.ToUniversalTime():u}; the coordinator's clock shows {shared.Time.GetUtcNow():u}.", repair: onOperators ? "Ask an admin for a new credential: `fed operator issue`." : "If that clock is right, ask the operator for a new invitation (`fed site invite`) and enrol with it: `fed node enroll`.");
        }

        return certificate;
    }

    private void RequireKey(string name, string keySha256)
    {
        if (shared.Store.FindSite(name)?.KeySha256 != keySha256)
        {
            if (shared.Store.IsRevoked(keySha256)) throw Revoked(name);
            throw AnotherKey(name);
        }
    }

    private void Count<TRequest, TResponse>(ServerCallContext context, TRequest request, TResponse response)
    {
        if (!context.Method.StartsWith(Node, StringComparison.Ordinal) || request is not IMessage asked || response is not IMessage answered) return;
        if (shared.Sessions.WorkOf(SiteOf(context)) is not var (run, round)) return;
        int content = ((asked as BeginUploadRequest)?.Data.Length ?? 0) + ((answered as NodeTask)?.Train?.Model.Length ?? 0); // counted as an update and a model
        shared.Traffic.AddControl(run, round, asked.CalculateSize() + answered.CalculateSize() - content);
    }
}
