using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Federation.Server.Services;

/// <summary>Turns an invitation into a certificate.</summary>
public sealed class EnrolmentService(CertificateAuthority ca, SiteCertificates certificates, EnrolmentTries tries, RunContext shared, OpenCalls calls) : Enrolment.EnrolmentBase
{
    public override Task<EnrollReply> Enroll(EnrollRequest request, ServerCallContext context)
    {
        string? named = request.Token.Split('.') is [_, var site, ..] && Names.IsSiteName(site) ? site : null;
        string? invited = named is not null && shared.Store.FindSite(named) is not null ? named : null;
        return Task.FromResult(tries.Try(context.GetHttpContext().Connection.RemoteIpAddress, invited, () => Enrol(request, context.Peer)));
    }

    private EnrollReply Enrol(EnrollRequest request, string from)
    {
        InvitationToken token = Parse(request.Token);
        if (token.CaSpkiSha256 != ca.SpkiSha256) throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.TokenForeign, "The invitation is another federation's.", "token");
        DateTimeOffset now = shared.Time.GetUtcNow();
        using X509Certificate2 certificate = certificates.Issue(token.Site, request.CertificateSigningRequest); // before the token is used up
        string key = CertificateProfile.SpkiSha256(certificate), who = $"{token.Site} (site, from {from})";
        string? replaced = shared.Store.FindSite(token.Site)?.KeySha256 is { } before && before != key ? before : null;
        string what = replaced is null ? $"enrolled with the key {key}." : $"enrolled with the key {key}, in place of the key {replaced}.";
        InvitationUse Use() => shared.Store.Enroll(token.Site, token.SecretSha256, key, now);
        switch (shared.Acts is { } acts ? acts.Do(AdministrativeLog.Enrolled, who, what, Use, () => shared.Store.FindSite(token.Site)?.KeySha256 == key, EndCalls) : Use())
        {
            case InvitationUse.Unknown: throw Refuse(Refusal.TokenUnknown, "The invitation is unknown.");
            case InvitationUse.AlreadyUsed: throw Refuse(Refusal.TokenUsed, "The invitation was used already.");
            case InvitationUse.Expired: throw Refuse(Refusal.TokenExpired, "The invitation has expired.");
            case InvitationUse.KeyRevoked: throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.Revoked, "This key was revoked; it cannot be enrolled again.", "certificate_signing_request", "Enrol in a new state folder, with a new key, and bring ledger.db* and ledger.key* of the old one along; the invitation is still good.");
        }

        EndCalls();
        shared.Signal.Raise();
        shared.Acts?.Record(AdministrativeLog.Enrolled, who, what);
        return new EnrollReply { Certificate = ByteString.CopyFrom(certificate.RawData), CaCertificate = ByteString.CopyFrom(ca.Certificate.RawData) };

        // No new call with the key that was replaced passes; now those under way.
        void EndCalls()
        {
            if (replaced is null) return;
            calls.End(token.Site, CallerInterceptor.AnotherKey(token.Site));
            shared.Sessions.Leave(token.Site);
        }
    }

    private static InvitationToken Parse(string text)
    {
        try
        {
            return InvitationToken.Parse(text);
        }
        catch (InvalidInputException error)
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.TokenMalformed, error.Problems);
        }
    }

    private static RpcException Refuse(Refusal reason, string message) => RpcError.Refuse(StatusCode.PermissionDenied, reason, message, "token", "Ask the operator for a new one: `fed site invite`.");
}
