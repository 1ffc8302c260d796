using System.CommandLine;
using System.CommandLine.Parsing;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Privacy.Canonical;
using Federation.Protocol.Identity;
using Federation.V1;
using Google.Protobuf;

namespace Federation.Cli.Verbs;

/// <summary><c>fed operator</c>: who may operate the coordinator, and as what.</summary>
internal static class OperatorVerbs
{
    private static readonly Argument<string> Name = new("NAME") { Description = $"The operator's name: {Names.Rule}." };

    private static readonly Option<string> Role = new("--role") { Description = "viewer (lists, shows, watches), operator (also invites, submits, cancels, takes models away) or admin (also revokes, issues operators).", HelpName = "role", Required = true };

    private static readonly Option<bool> Token = new("--token") { Description = "A bearer token instead of a certificate." };

    private static readonly Option<string?> OutputPath = new("--output", "-o") { Description = "The file for the credential, readable by you alone. Without it a token is printed.", HelpName = "file" };

    private static readonly Option<int> Days = new("--days") { Description = "How many days it is valid, 1 to 730.", HelpName = "count", DefaultValueFactory = _ => 365 };

    public static Verb Create() => new Verb("operator", "Issue operators' credentials, see them and revoke them.", "fed operator issue ann --role operator -o ann.pem\nfed operator list\nfed operator revoke ann")
        .With(
            new Verb("key", "Show the hash of the key that you sign runs with, as sites' policies name it, and its words. Connects to nobody.", "fed operator key --key study.key\nfed operator key --credential ann.pem", "operator-key")
                .With(OperatorConnection.Key, CommonOptions.Credential, CommonOptions.State).Does(KeyAsync),
            new Verb("issue", "Make a credential for another operator: a certificate, whose key is made here and sent nowhere, or a bearer token.", "fed operator issue ann --role operator -o ann.pem\nfed operator issue dashboard --role viewer --token > token", "operator-issue")
                .With(Name, Role, Token, OutputPath, Days, CommonOptions.Force).With(OperatorConnection.Options).Does(IssueAsync),
            new Verb("list", "Show every operator: role, kind of credential, until when it is valid.", "fed operator list", "operator-list")
                .With(OperatorConnection.Options).Does(ListAsync),
            new Verb("revoke", "End what an operator may do, at once and for good.", "fed operator revoke ann", "operator-revoke")
                .With(Name).With(OperatorConnection.Options).Does(RevokeAsync));

    private static Task<int> KeyAsync(Invocation invocation)
    {
        string path = invocation.Get(OperatorConnection.Key) ?? OperatorConnection.CredentialPath(invocation);
        using ECDsa key = SigningKey.Load(path);
        string sha256 = Sha256Hex.Of(key.ExportSubjectPublicKeyInfo()), words = Proquint.OfHash(sha256);
        invocation.Output.Result(new PublicKeyReport(path, sha256, words), $"{RosterPin.Prefix}{sha256}", words);
        if (!invocation.Output.Json) invocation.Output.Note("Give the hash to the sites, and compare the words with each on a way that the coordinator has no part in; they write it into 'submitters' or 'cosigners' of their policy.");
        return Task.FromResult(ExitCode.Done);
    }

    private static async Task<int> IssueAsync(Invocation invocation)
    {
        string name = invocation.Get(Name), role = invocation.Get(Role)!;
        if (!Names.IsSiteName(name)) throw new InvalidInputException(new Problem($"'{name}' is no name of an operator.", Field: Name.Name, Repair: $"Right are {Names.Rule}."));
        if (OperatorRoles.Parse(role) is null) throw new InvalidInputException(new Problem($"'{role}' is no role.", Field: Role.Name, Repair: $"{OperatorRoles.Rule} is right."));
        if (invocation.Get(Days) is not (>= 1 and <= 730) and var days) throw new InvalidInputException(new Problem($"{days} days are not allowed.", Field: Days.Name, Repair: "1 to 730 are right."));
        bool isToken = invocation.Get(Token);
        string? path = invocation.Get(OutputPath);
        if (path is null && !isToken) throw new InvalidInputException(new Problem("The file for the certificate and its key is missing.", Field: OutputPath.Name, Repair: $"-o {name}.pem, or --token for a bearer token."));
        if (path is not null) path = OutputFile.Claim(path, invocation.Get(CommonOptions.Force)).Path;
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new IssueOperatorRequest { Name = name, Role = role, ValidDays = (uint)invocation.Get(Days) };
        if (!isToken) request.CertificateSigningRequest = ByteString.CopyFrom(new CertificateRequest(CertificateProfile.Subject(name, CertificateRole.Admin), key, HashAlgorithmName.SHA256).CreateSigningRequest());
        IssueOperatorReply reply = await connection.Client.IssueOperatorAsync(request, cancellationToken: invocation.Cancellation);
        if (path is not null) Save(path, reply, key);
        var result = new IssuedOperator(name, role, isToken ? "token" : "certificate", path, path is null ? reply.Token : null, DateTimeOffset.FromUnixTimeMilliseconds(reply.ExpiresUnixMs));
        if (path is null)
        {
            invocation.Output.Result(result, reply.Token); // alone on stdout, for > token
            if (!invocation.Output.Json) invocation.Output.Note($"Token of {name} ({role}), valid until {Text.Local(result.Expires)}: a secret, shown this once. Use its file with --credential FILE.");
        }
        else
        {
            invocation.Output.Result(result, $"{path} is the credential of '{name}' ({role}), valid until {Text.Local(result.Expires)}.", "Use it with --credential FILE --coordinator URL.");
        }

        return ExitCode.Done;
    }

    private static void Save(string path, IssueOperatorReply reply, ECDsa key)
    {
        if (reply.Token.Length > 0)
        {
            PrivateFile.Write(path, reply.Token + "\n");
            return;
        }

        using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        using Credential credential = Credential.Of(certificate, key, X509CertificateLoader.LoadCertificate(reply.CaCertificate.Span));
        credential.Save(path);
    }

    private static async Task<int> ListAsync(Invocation invocation)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        ListOperatorsReply reply = await connection.Client.ListOperatorsAsync(new ListOperatorsRequest(), cancellationToken: invocation.Cancellation);
        var result = new OperatorList([.. reply.Operators.Select(OperatorAccount.Of)]);
        invocation.Output.Result(result, TextTable.Lines(["operator", "role", "credential", "issued", "valid until", "revoked"], result.Operators.Select(one => (string[])[one.Name, one.Role, one.Kind, Text.Local(one.Issued), Text.Local(one.Expires), one.Revoked is null ? "" : Text.Local(one.Revoked)])));
        return ExitCode.Done;
    }

    private static async Task<int> RevokeAsync(Invocation invocation)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        var result = OperatorAccount.Of(await connection.Client.RevokeOperatorAsync(new RevokeOperatorRequest { Name = invocation.Get(Name) }, cancellationToken: invocation.Cancellation));
        invocation.Output.Result(result, $"Operator '{result.Name}' is revoked since {Text.Local(result.Revoked)}.");
        return ExitCode.Done;
    }
}
