using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.Server.Storage;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Services;

/// <summary>Operators: who may operate, and as what.</summary>
public sealed partial class OperatorService
{
    private const uint MostDays = 730, UsualDays = 365;

    public override Task<IssueOperatorReply> IssueOperator(IssueOperatorRequest request, ServerCallContext call)
    {
        string name = request.Name;
        if (!Names.IsSiteName(name)) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"'{name}' is no name of an operator.", "name", $"A name has {Names.Rule}.");
        OperatorRole role = OperatorRoles.Parse(request.Role) ?? throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"'{request.Role}' is no role.", "role", $"{OperatorRoles.Rule} is right.");
        if (request.ValidDays > MostDays) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"{request.ValidDays} days are too long.", "valid_days", $"1 to {MostDays} are right; 0 stands for {UsualDays}.");
        var valid = TimeSpan.FromDays(request.ValidDays == 0 ? UsualDays : request.ValidDays);
        DateTimeOffset now = context.Time.GetUtcNow();
        var reply = new IssueOperatorReply();
        string proof;
        if (request.CertificateSigningRequest.IsEmpty)
        {
            OperatorToken token = OperatorToken.Create(name, ca.SpkiSha256);
            (reply.Token, proof) = (token.Reveal(), token.SecretSha256);
        }
        else
        {
            using X509Certificate2 certificate = certificates.IssueOperator(name, role, request.CertificateSigningRequest, valid);
            (reply.Certificate, reply.CaCertificate, proof) = (ByteString.CopyFrom(certificate.RawData), ByteString.CopyFrom(ca.Certificate.RawData), CertificateProfile.SpkiSha256(certificate));
        }

        var added = new OperatorRecord(name, role, reply.Token.Length > 0, proof, now, now + valid);
        string what = $"issued the operator '{name}' ({role.ToText()}, by {(added.IsToken ? "token" : $"certificate, key {proof}")}), until {added.Expires:u}.";
        if (!Try(call, AdministrativeLog.Issued, what, () => context.Store.AddOperator(added, now), () => context.Store.FindOperator(name)?.Proof == proof)) throw RpcError.Refuse(StatusCode.AlreadyExists, Refusal.Invalid, $"There is an operator '{name}' already.", "name", $"Choose another name, or revoke it first: `fed operator revoke {name}`.");
        Record(call, AdministrativeLog.Issued, what);
        reply.ExpiresUnixMs = added.Expires.ToUnixTimeMilliseconds();
        return Task.FromResult(reply);
    }

    public override Task<ListOperatorsReply> ListOperators(ListOperatorsRequest request, ServerCallContext call) =>
        Task.FromResult(new ListOperatorsReply { Operators = { OperatorMessages.Newest(context.Store.Operators().Select(Describe)) } });

    public override Task<OperatorEntry> RevokeOperator(RevokeOperatorRequest request, ServerCallContext call)
    {
        string name = request.Name;
        if (!Names.IsSiteName(name)) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"'{name}' is no name of an operator.", "name", $"A name has {Names.Rule}.");
        // So an admin who can act is always left.
        if (name == CallerInterceptor.OperatorOf(call).Name) throw RpcError.Refuse(StatusCode.FailedPrecondition, Refusal.Invalid, $"'{name}' is the credential that asks.", "name", "Another admin has to revoke it.");
        DateTimeOffset now = context.Time.GetUtcNow();
        OperatorRecord revoked = Try(call, AdministrativeLog.OperatorRevoked, $"revoked the operator '{name}'.", () => context.Store.RevokeOperator(name, now), () => context.Store.FindOperator(name)?.Revoked is not null, EndCalls)
            ?? throw RpcError.Refuse(StatusCode.NotFound, Refusal.Invalid, $"There is no operator '{name}'.", "name", Nearest.Repair(name, [.. context.Store.Operators().Select(other => other.Name)]));
        EndCalls();
        Record(call, AdministrativeLog.OperatorRevoked, $"revoked the operator '{name}' ({revoked.Role.ToText()}).");
        return Task.FromResult(Describe(revoked));

        void EndCalls() => calls.End(OperatorAccess.KeyOf(name), OperatorAccess.Revoked(name));
    }

    private static OperatorEntry Describe(OperatorRecord one) => new()
    {
        Name = one.Name,
        Role = one.Role.ToText(),
        Kind = one.IsToken ? "token" : "certificate",
        IssuedUnixMs = one.Issued.ToUnixTimeMilliseconds(),
        ExpiresUnixMs = one.Expires.ToUnixTimeMilliseconds(),
        RevokedUnixMs = one.Revoked?.ToUnixTimeMilliseconds() ?? 0,
    };
}
