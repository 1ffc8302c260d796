using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Storage;
using Grpc.Core;

namespace Federation.Server.Identity;

/// <summary>Who operates in a call.</summary>
/// <param name="IsToken">By bearer token; else by certificate.</param>
public sealed record OperatorIdentity(string Name, OperatorRole Role, bool IsToken)
{
    /// <summary>For the audit log.</summary>
    public override string ToString() => $"{Name} ({Role.ToText()}, by {(IsToken ? "token" : "certificate")})";
}

/// <summary>What an operator shows: a certificate's key or a token's secret, hashed. Not yet looked up.</summary>
/// <param name="Claimed">Of a certificate, which says it; null: a token's, which is the coordinator's to know.</param>
public sealed record OperatorProof(string Name, string Proof, OperatorRole? Claimed, DateTimeOffset Expires);

/// <summary>Which operators there are, and what each may call.</summary>
public sealed class OperatorAccess(ICoordinatorStore store, TimeProvider time)
{
    /// <summary>The name of the credential that <c>fed server init</c> writes; it is taken down when it is first used.</summary>
    public const string FirstAdmin = "admin";

    private const string Bearer = "Bearer ";

    /// <summary>The least role for each call of the Operator service. A call that is not here is nobody's.</summary>
    public static IReadOnlyDictionary<string, OperatorRole> Least { get; } = new Dictionary<string, OperatorRole>(StringComparer.Ordinal)
    {
        ["ListSites"] = OperatorRole.Viewer,
        ["ListRuns"] = OperatorRole.Viewer,
        ["ShowRun"] = OperatorRole.Viewer,
        ["WatchRun"] = OperatorRole.Viewer,
        ["ShowRoster"] = OperatorRole.Viewer,
        ["ListModels"] = OperatorRole.Viewer,
        ["ListOperators"] = OperatorRole.Viewer,
        ["DownloadTranscripts"] = OperatorRole.Viewer, // whoever checks a run needs no more
        ["InviteSite"] = OperatorRole.Operator,
        ["UploadBlob"] = OperatorRole.Operator,
        ["SubmitRun"] = OperatorRole.Operator,
        ["ApproveRun"] = OperatorRole.Operator,
        ["CancelRun"] = OperatorRole.Operator,
        ["PauseRuns"] = OperatorRole.Operator,
        ["ResumeRuns"] = OperatorRole.Operator,
        ["RotateKeys"] = OperatorRole.Operator,
        ["DownloadModel"] = OperatorRole.Operator,
        ["RevokeSite"] = OperatorRole.Admin,
        ["IssueOperator"] = OperatorRole.Admin,
        ["RevokeOperator"] = OperatorRole.Admin,
    };

    /// <summary>What the header <c>authorization</c> shows; null: there is none.</summary>
    /// <exception cref="RpcException">It is no operator's token.</exception>
    public static OperatorProof? OfHeader(Metadata headers)
    {
        string[] values = [.. headers.Where(header => header.Key == "authorization" && !header.IsBinary).Select(header => header.Value)];
        if (values.Length == 0) return null;
        OperatorToken? token = values is [var value] && value.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? OperatorToken.TryParse(value[Bearer.Length..]) : null;
        return token is not null ? new OperatorProof(token.Name, token.SecretSha256, null, DateTimeOffset.MaxValue)
            : throw RpcError.Refuse(StatusCode.Unauthenticated, Refusal.TokenMalformed, "The authorization header holds no operator's token.", repair: $"'{Bearer}{OperatorToken.Version}.…' is right, as `fed operator issue NAME --token` printed it.");
    }

    /// <summary>What a certificate shows that the CA has signed and that is in its dates.</summary>
    /// <exception cref="RpcException">It is no operator's.</exception>
    public static OperatorProof OfCertificate(X509Certificate2 certificate) =>
        CertificateProfile.RoleOf(certificate)?.ToOperatorRole() is { } role && CertificateProfile.NameOf(certificate) is { } name
            ? new OperatorProof(name, CertificateProfile.SpkiSha256(certificate), role, certificate.NotAfter.ToUniversalTime())
            : throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.WrongRole, "Only an operator's credential may operate this federation.");

    /// <exception cref="RpcException">It is not one that counts.</exception>
    public OperatorIdentity Require(OperatorProof shown)
    {
        DateTimeOffset now = time.GetUtcNow();
        OperatorRecord? known = store.FindOperator(shown.Name);
        if (known is null && shown is { Name: FirstAdmin, Claimed: OperatorRole.Admin })
        {
            var first = new OperatorRecord(FirstAdmin, OperatorRole.Admin, IsToken: false, shown.Proof, now, shown.Expires);
            known = store.AddOperator(first, now) ? first : store.FindOperator(FirstAdmin);
        }

        bool isToken = shown.Claimed is null;
        if (known is null || known.IsToken != isToken || !CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(known.Proof), Encoding.ASCII.GetBytes(shown.Proof)))
        {
            throw RpcError.Refuse(StatusCode.Unauthenticated, Refusal.UnknownIdentity, $"This {(isToken ? "token" : "key")} is not the registered one of operator '{shown.Name}'.", repair: "Ask an admin for a new one: `fed operator issue`.");
        }

        if (known.Revoked is not null) throw Revoked(known.Name);
        if (now >= known.Expires) throw RpcError.Refuse(StatusCode.Unauthenticated, Refusal.ExpiredCertificate, $"The credential of operator '{known.Name}' ended at {known.Expires:u}.", repair: "Ask an admin for a new one: `fed operator issue`.");
        return new OperatorIdentity(known.Name, shown.Claimed is { } claimed && claimed < known.Role ? claimed : known.Role, isToken);
    }

    /// <param name="method">As gRPC names it: /package.Service/Method.</param>
    /// <exception cref="RpcException">The role is too low.</exception>
    public static void RequireRole(OperatorIdentity who, string method)
    {
        string call = method[(method.LastIndexOf('/') + 1)..];
        if (!Least.TryGetValue(call, out OperatorRole least)) throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.WrongRole, $"Nobody may call {call}.");
        if (who.Role < least) throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.WrongRole, $"{call} needs the role {least.ToText()}; {who.Name} has the role {who.Role.ToText()}.", repair: "Ask somebody with that role, or an admin for another credential.");
    }

    public static RpcException Revoked(string name) => RpcError.Refuse(StatusCode.Unauthenticated, Refusal.Revoked, $"The credential of operator '{name}' was revoked.", repair: "Ask an admin for a new one: `fed operator issue`.");

    /// <summary>Under which an operator's calls under way are kept; no site's name looks like it.</summary>
    public static string KeyOf(string name) => $"operator/{name}";
}
