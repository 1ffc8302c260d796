using System.CommandLine;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Cli.CommandLine;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Protocol.Identity;
using Federation.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace Federation.Cli.Verbs;

/// <summary>The coordinator's operator side, over mutual TLS with an operator's certificate, or over TLS with a bearer token.</summary>
internal sealed class OperatorConnection : IDisposable
{
    /// <summary>How long before its end a credential is spoken of.</summary>
    private static readonly TimeSpan Notice = TimeSpan.FromDays(30);

    private readonly Credential? _credential;
    private readonly GrpcChannel _channel;

    private OperatorConnection(Uri address, Credential credential)
    {
        _credential = credential;
        _channel = CoordinatorChannel.Open(address, credential);
        FederationSha256 = CertificateProfile.SpkiSha256(credential.CaCertificate);
        Client = new Operator.OperatorClient(_channel);
    }

    private OperatorConnection(Uri address, OperatorToken token)
    {
        (_channel, CallInvoker calls) = CoordinatorChannel.OpenWithToken(address, token);
        Client = new Operator.OperatorClient(calls);
        FederationSha256 = token.CaSpkiSha256;
    }

    public Operator.OperatorClient Client { get; }

    /// <summary>Of the key of the federation's CA, as this operator's credential has it.</summary>
    public string FederationSha256 { get; }

    /// <summary>For verbs that sign; see <see cref="KeyFor"/>.</summary>
    public static Option<string?> Key { get; } = new("--key") { Description = "The key to sign with, a PEM file (P-256). Default: the key of the operator's certificate; with a token none.", HelpName = "file" };

    /// <summary>The options that <see cref="Open"/> reads.</summary>
    public static IEnumerable<Symbol> Options => [CommonOptions.Coordinator, CommonOptions.Credential, CommonOptions.State];

    public static string CredentialPath(Invocation invocation) => invocation.Get(CommonOptions.Credential) ?? Path.Combine(StateFolder.Resolve(invocation.Get(CommonOptions.State)), "ca", "admin.pem");

    /// <summary>Dials at the first call, not before.</summary>
    /// <exception cref="InvalidInputException">The address is none, or the credential cannot be read.</exception>
    public static OperatorConnection Open(Invocation invocation)
    {
        Uri address = CommonOptions.ParseAddress(invocation.Get(CommonOptions.Coordinator)!, CommonOptions.Coordinator.Name, 8444);
        string path = CredentialPath(invocation);
        if (!File.Exists(path)) throw new InvalidInputException(new Problem("There is no operator's credential.", path, Repair: "`fed server init` makes one; name its state folder with --state, or the file with --credential."));
        string text = TextFile.Read(path);
        if (text.Contains("-----BEGIN ", StringComparison.Ordinal))
        {
            Credential credential = Credential.Load(path);
            DateTimeOffset ends = credential.Certificate.NotAfter.ToUniversalTime(), now = TimeProvider.System.GetUtcNow();
            if (ends > now && ends - now <= Notice) invocation.Output.Warn(new Problem($"This credential ends at {ends:u}.", path, Repair: $"An admin issues another: `fed operator issue NAME --role ROLE -o FILE`; when no admin's is valid any more, `fed server admin` on the coordinator's machine does."));
            return new OperatorConnection(address, credential);
        }

        return new OperatorConnection(address, OperatorToken.TryParse(text) ?? throw new InvalidInputException(new Problem($"This is no certificate, and no whole token: {OperatorToken.DamageOf(text)}.", path, Repair: "Copy the token anew, as `fed operator issue NAME --token` printed it; if it is lost, have the operator issued again.")));
    }

    /// <summary>What a run is signed with: the file that <see cref="Key"/> names, else the key of the operator's certificate. The caller disposes it.</summary>
    /// <returns>Null: the credential is a token, and no file is named.</returns>
    /// <exception cref="InvalidInputException">The file holds no such key.</exception>
    public ECDsa? KeyFor(Invocation invocation) => invocation.Get(Key) is { } path ? SigningKey.Load(path) : _credential?.Certificate.GetECDsaPrivateKey();

    public void Dispose()
    {
        _channel.Dispose();
        _credential?.Dispose();
    }
}
