using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Client;
using Federation.Privacy.SecureAggregation;
using Federation.Protocol.Identity;
using Federation.V1;
using Google.Protobuf;

namespace Federation.EndToEnd.Tests;

/// <summary>A member that lies in the making of keys: it is left out, and nobody else's run suffers.</summary>
public sealed class SecureLyingMemberTests : IAsyncDisposable
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    private RunningSites _sites = null!;
    private LyingCoordinator _relay = null!;

    public async ValueTask DisposeAsync()
    {
        await _sites.DisposeAsync();
        await _relay.DisposeAsync();
    }

    [Fact] // it goes along until Q is fixed, and then says that it does not accept the roster: people are waited for, but not here
    public async Task Member_ThatRefusesTheRosterAtTheReveal_IsLeftOutOfTheNextAttempt()
    {
        string run = await StartAsync();
        _relay.Say = message =>
        {
            if (message.Step == 4) (message.Body, message.Refusal, message.RosterRefused) = (ByteString.Empty, "no", true);
            return message;
        };
        _sites.Run("a", coordinator: _relay.Address);
        RunEvent failed = await _sites.Federation.WaitForAsync(run, "keys-failed");
        Assert.Contains("'a' did not reveal what it had committed to", failed.Message, StringComparison.Ordinal);
        Assert.Contains("3 members hold shares", (await _sites.Federation.WaitForAsync(run, "keys-made")).Message, StringComparison.Ordinal);
        await CompletesAsync(run);
    }

    [Fact] // shares of a megabyte and more, well committed to: they would spoil the packet of every other member
    public async Task Member_WhoseSharesAreTooLong_IsLeftOutAtOnce()
    {
        string run = await StartAsync();
        var folder = new NodeFolder(_sites.Federation.NodeState("a"));
        using Credential credential = Credential.Load(folder.Certificate, folder.Key);
        using ECDsa identity = credential.Certificate.GetECDsaPrivateKey()!;
        byte[] huge = new byte[(1 << 20) + 1];
        _relay.Say = message =>
        {
            if (message.Step != 1 || message.Refusal.Length > 0) return message;
            EpochCommitment commitment = message.To == 0 ? EpochCommitment.Decode(SignedMessage.Decode(message.Body.Span).Body.Span) : null!;
            message.Body = ByteString.CopyFrom(message.To != 0 ? huge : SignedMessage.Sign("a", identity, (commitment with { ShareHashes = [.. commitment.ShareHashes.Select(share => (share.To, SHA256.HashData(huge)))] }).Encode()).Encode());
            return message;
        };
        _sites.Run("a", coordinator: _relay.Address);
        Assert.Contains("3 members hold shares", (await _sites.Federation.WaitForAsync(run, "keys-made")).Message, StringComparison.Ordinal);
        await CompletesAsync(run);
        Assert.DoesNotContain(s_sites[1..], site => File.Exists(new NodeFolder(_sites.Federation.NodeState(site)).Audit)); // nobody else has refused anything
    }

    private async Task<string> StartAsync()
    {
        _sites = await RunningSites.StartAsync(s_sites);
        _relay = await LyingCoordinator.StartAsync(_sites.Federation, "a");
        _sites.Run(s_sites[1..]);
        return await _sites.SubmitAsync(rounds: 1);
    }

    private async Task CompletesAsync(string run)
    {
        await _sites.Federation.WaitForAsync(run, "completed");
        Assert.Equal(s_sites, (await _sites.Federation.ShowAsync(run)).Rounds.Single().Contributors); // without a share it contributes like any other
    }
}
