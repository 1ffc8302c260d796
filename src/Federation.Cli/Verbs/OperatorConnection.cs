using System.CommandLine;
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
    private readonly Credential? _credential;
    private readonly GrpcChannel _channel;

    private OperatorConnection(Uri address, Credential credential)
    {
        _credential = credential;
        _channel = CoordinatorChannel.Open(address, credential);
        Client = new Operator.OperatorClient(_channel);
    }

    private OperatorConnection(Uri address, OperatorToken token)
    {
        (_channel, CallInvoker calls) = CoordinatorChannel.OpenWithToken(address, token);
        Client = new Operator.OperatorClient(calls);
    }

    public Operator.OperatorClient Client { get; }

    /// <summary>The options that <see cref="Open"/> reads.</summary>
    public static IEnumerable<Symbol> Options => [CommonOptions.Coordinator, CommonOptions.Credential, CommonOptions.State];

    /// <summary>Dials at the first call, not before.</summary>
    /// <exception cref="InvalidInputException">The address is none, or the credential cannot be read.</exception>
    public static OperatorConnection Open(Invocation invocation)
    {
        Uri address = CommonOptions.ParseAddress(invocation.Get(CommonOptions.Coordinator)!, CommonOptions.Coordinator.Name, 8444);
        string path = invocation.Get(CommonOptions.Credential) ?? Path.Combine(StateFolder.Resolve(invocation.Get(CommonOptions.State)), "ca", "admin.pem");
        if (!File.Exists(path)) throw new InvalidInputException(new Problem("There is no operator's credential.", path, Repair: "`fed server init` makes one; name its state folder with --state, or the file with --credential."));
        string text = TextFile.Read(path);
        if (!text.StartsWith(OperatorToken.Version, StringComparison.Ordinal)) return new OperatorConnection(address, Credential.Load(path));
        return new OperatorConnection(address, OperatorToken.TryParse(text) ?? throw new InvalidInputException(new Problem("This is no operator's token.", path, Repair: "A token has four parts between dots; `fed operator issue NAME --token` prints one.")));
    }

    public void Dispose()
    {
        _channel.Dispose();
        _credential?.Dispose();
    }
}
