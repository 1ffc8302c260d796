using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Runs;
using Federation.Server.Storage;
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
/// Turns what services throw into rich statuses, and counts message bytes of the nodes.
/// </summary>
public sealed class CallerInterceptor(CertificateAuthority ca, RunContext shared) : Interceptor
{
    private const string SiteKey = "site", Enrolment = "/federation.v1.Enrolment/", Node = "/federation.v1.Node/", Operator = "/federation.v1.Operator/";

    /// <summary>The authenticated site of a call to the Node service.</summary>
    public static string SiteOf(ServerCallContext context) => (string)context.UserState[SiteKey];

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        TResponse response = await Guard(context, () => continuation(request, context));
        Count(context, request, response);
        return response;
    }

    public override Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(IAsyncStreamReader<TRequest> requests, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation) =>
        Guard(context, () => continuation(requests, context));

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(TRequest request, IServerStreamWriter<TResponse> responses, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation) =>
        Guard(context, async () =>
        {
            await continuation(request, responses, context);
            return true;
        });

    private async Task<T> Guard<T>(ServerCallContext context, Func<Task<T>> call)
    {
        try
        {
            Authenticate(context);
            return await call();
        }
        catch (InvalidInputException error)
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, error.Problems);
        }
        catch (Exception error) when (DiskFull.Is(error))
        {
            shared.Logger.LogError("The coordinator's disk is full: {Message}", error.Message);
            throw RpcError.Refuse(StatusCode.ResourceExhausted, Refusal.StorageFull, "The coordinator's disk is full; nothing was taken.", repair: "Its operator must make room; try again then.");
        }
        catch (Exception error) when (error is not (RpcException or OperationCanceledException) && !context.CancellationToken.IsCancellationRequested)
        {
            shared.Logger.LogError(error, "{Method} failed", context.Method);
            throw new RpcException(new Status(StatusCode.Internal, "The coordinator failed; its log has the details."));
        }
    }

    private void Authenticate(ServerCallContext context)
    {
        HttpContext http = context.GetHttpContext();
        bool onOperators = http.Features.GetRequiredFeature<Listener>().IsOperators;
        if (context.Method.StartsWith(Operator, StringComparison.Ordinal) != onOperators)
        {
            throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.WrongRole, "This service is not on this port.", repair: onOperators ? "Nodes use the coordinator's other port (8443)." : "Operators use the coordinator's other port (8444).");
        }

        if (context.Method.StartsWith(Enrolment, StringComparison.Ordinal)) return;
        X509Certificate2 certificate = http.Connection.ClientCertificate
            ?? throw RpcError.Refuse(StatusCode.Unauthenticated, Refusal.NoCertificate, "The call came without a certificate.", repair: onOperators ? "Use the admin credential that `fed server init` wrote." : "Enrol first: `fed node enroll`.");
        switch (CertificateProfile.StatusOf(certificate, ca.Certificate, shared.Time.GetUtcNow()))
        {
            case CertificateStatus.Foreign:
                throw RpcError.Refuse(StatusCode.Unauthenticated, Refusal.ForeignCertificate, "The certificate was not issued by this federation.", repair: "Enrol at this coordinator with an invitation of its operator.");
            case CertificateStatus.OutOfDate:
                throw RpcError.Refuse(StatusCode.Unauthenticated, Refusal.ExpiredCertificate, $"The certificate is valid from {certificate.NotBefore:u} to {certificate.NotAfter:u}.", repair: "Enrol again with a new invitation.");
        }

        CertificateRole? role = CertificateProfile.RoleOf(certificate);
        if (onOperators)
        {
            if (role != CertificateRole.Admin) throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.WrongRole, "Only an admin credential may operate this federation.");
            return;
        }

        string? name = CertificateProfile.NameOf(certificate);
        if (role != CertificateRole.Site || name is null || !Names.IsSiteName(name)) throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.WrongRole, "Only a site's certificate may act as a node.");
        if (shared.Store.FindSite(name)?.KeySha256 != CertificateProfile.SpkiSha256(certificate))
        {
            throw RpcError.Refuse(StatusCode.Unauthenticated, Refusal.UnknownIdentity, $"This key is not the registered one of site '{name}'.", repair: "The site was enrolled again elsewhere, or not with this coordinator; enrol with a new invitation.");
        }

        context.UserState[SiteKey] = name;
        shared.Sessions.Touch(name);
    }

    private void Count<TRequest, TResponse>(ServerCallContext context, TRequest request, TResponse response)
    {
        if (!context.Method.StartsWith(Node, StringComparison.Ordinal) || request is not IMessage asked || response is not IMessage answered) return;
        if (shared.Sessions.WorkOf(SiteOf(context)) is var (run, round)) shared.Traffic.AddControl(run, round, asked.CalculateSize() + answered.CalculateSize());
    }
}
