using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Formats.Models;
using Federation.Privacy.Canonical;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Runs;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Tests.Identity;

/// <summary>A site whose key is taken from it: its open calls end with that reason, and nothing of it passes any more.</summary>
public sealed class RevocationTests : IAsyncLifetime
{
    // Generous: the coordinator answers at once; what is bounded is a hang.
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);
    private TestCoordinator _test = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync();

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public async Task Revoke_SiteInMidUpload_EndsTheUploadAndTheRoundGoesOnWithTheOthers()
    {
        TestNode[] nodes = await _test.EnrolAllAsync("a", "b", "c");
        string run = await _test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1, least: 2));
        byte[] update = Tiny.Update(9, 9, 9, 9).ToBytes();
        string model = _test.StateOf(run).ModelSha256;
        await nodes[0].BeginAsync(run, 1, model, update);
        using AsyncClientStreamingCall<UploadChunk, UploadReply> upload = nodes[0].Client.Upload(cancellationToken: Cancelled);
        await upload.RequestStream.WriteAsync(new UploadChunk { RunId = run, Round = 1, UpdateSha256 = Sha256Hex.Of(update), Data = ByteString.CopyFrom(update.AsSpan(0, 10)) }, Cancelled);
        await Condition.HoldsAsync(() => _test.Coordinator.Calls.Count("a") == 1);
        Task<NodeTask> elsewhere = Poll(nodes[1]);
        Assert.Equal(run, (await elsewhere).Train.RunId);

        await RevokeAsync("a");
        await RevokedAsync(() => upload.ResponseAsync.WaitAsync(Soon, Cancelled));
        await RevokedAsync(() => nodes[0].SendAsync(run, 1, update));
        await RevokedAsync(() => nodes[0].JoinAsync());
        Assert.Equal(0, _test.Coordinator.Calls.Count("a"));

        foreach (TestNode other in nodes[1..]) await other.ContributeAsync(run, Tiny.Update(1, 1, 1, 1));
        await _test.SummedAsync(run);
        RoundSummary round = Assert.Single((await _test.ShowAsync(run)).Rounds);
        Assert.Equal(("completed", "b,c"), (round.State, string.Join(',', round.Contributors)));
    }

    [Fact]
    public async Task Revoke_SiteThatWaitsForATask_EndsTheWaitAndNoOtherSites()
    {
        TestNode[] nodes = await _test.EnrolAllAsync("a", "b");
        Task<NodeTask> poll = Poll(nodes[0]), other = Poll(nodes[1]);
        await Condition.HoldsAsync(() => _test.Coordinator.Sessions.Polls("a") == 1 && _test.Coordinator.Sessions.Polls("b") == 1);
        await RevokeAsync("a");
        await RevokedAsync(() => poll.WaitAsync(Soon, Cancelled));
        Assert.False(other.IsCompleted);
        Assert.Equal(1, _test.Coordinator.Sessions.Polls("b"));
        string run = await _test.SubmitAsync(spec: Tiny.Spec(least: 1));
        Assert.Equal(run, (await other).CheckData.Run.RunId);
        Assert.Equal(["b"], _test.StateOf(run).Sites.Keys);
    }

    [Fact]
    public async Task Revoke_SiteInMidDownload_EndsTheDownloadWithTheReason()
    {
        TestNode node = await _test.EnrolAsync("a");
        ModelState model = Tiny.Large(8_000_000); // 32 MB: more than any window holds
        await _test.UploadAsync(model.ToBytes(), model.Sha256);
        using AsyncServerStreamingCall<Chunk> download = node.Client.Download(new DownloadRequest { Sha256 = model.Sha256 }, cancellationToken: Cancelled);
        Assert.True(await download.ResponseStream.MoveNext(Cancelled));
        await RevokeAsync("a");
        long got = download.ResponseStream.Current.Data.Length;
        await RevokedAsync(async () =>
        {
            while (await download.ResponseStream.MoveNext(Cancelled).WaitAsync(Soon, Cancelled)) got += download.ResponseStream.Current.Data.Length;
        });
        Assert.InRange(got, 1, 31_000_000);
    }

    [Fact]
    public async Task Revoke_SiteThatTakesNothingOfADownload_IsForgottenAllTheSame()
    {
        TestNode node = await _test.EnrolAsync("a");
        ModelState model = Tiny.Large(8_000_000);
        await _test.UploadAsync(model.ToBytes(), model.Sha256);
        using AsyncServerStreamingCall<Chunk> download = node.Client.Download(new DownloadRequest { Sha256 = model.Sha256 }, cancellationToken: Cancelled);
        Assert.True(await download.ResponseStream.MoveNext(Cancelled));
        await RevokeAsync("a");
        await Condition.HoldsAsync(() => _test.Coordinator.Calls.Count("a") == 0); // the reader never reads on
    }

    [Fact]
    public async Task Revoke_ThenInvitedAgain_EnrolsWithANewKeyAndTheOldOneStaysRefused()
    {
        TestNode old = await _test.EnrolAsync("a");
        await RevokeAsync("a");
        Assert.Equal("revoked", await StateAsync("a"));
        string token = (await _test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "a" })).Token;
        Assert.Equal("invited", await StateAsync("a"));
        using ECDsa key = old.Credential.Certificate.GetECDsaPrivateKey()!;
        byte[] sameKey = new CertificateRequest("CN=a", key, HashAlgorithmName.SHA256).CreateSigningRequest();
        await Tiny.RefusedAsync(Refusal.Revoked, StatusCode.PermissionDenied, async () => await _test.Enrolment().EnrollAsync(new EnrollRequest { Token = token, CertificateSigningRequest = ByteString.CopyFrom(sameKey) }), "new key");

        var anew = new TestNode(_test, "a", await _test.CertifyAsync(token, "a"));
        await anew.JoinAsync();
        Assert.Equal("enrolled", await StateAsync("a"));
        string run = await _test.SubmitAsync(spec: Tiny.Spec(least: 1));
        await anew.ReadyAsync(run);
        await RevokedAsync(() => old.JoinAsync());
    }

    [Fact]
    public async Task Revoke_SiteOfARunThatGoesOn_IsAskedAnewAfterItEnrolledAgain()
    {
        TestNode[] nodes = await _test.EnrolAllAsync("a", "b", "c");
        string run = await _test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 2, least: 2));
        await RevokeAsync("a");
        Assert.Equal(["b", "c"], _test.StateOf(run).Sites.Keys);
        TestNode anew = await _test.EnrolAsync("a");
        _test.Wait();
        await anew.ReadyAsync(run);
        foreach (TestNode other in nodes[1..]) await other.ContributeAsync(run, Tiny.Update(1, 1, 1, 1));
        await _test.SummedAsync(run);
        Assert.Equal(["a", "b", "c"], Assert.IsType<RoundOpen>(_test.StateOf(run).Phase).Cohort);
    }

    [Fact]
    public async Task Revoke_ThenACrash_StaysRevoked()
    {
        TestNode node = await _test.EnrolAsync("a");
        string open = (await _test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "a" })).Token;
        RevokeSiteReply reply = await RevokeAsync("a");
        Assert.Equal(CertificateProfile.SpkiSha256(node.Credential.Certificate), reply.KeySha256);
        await _test.CrashAsync();
        await RevokedAsync(() => node.JoinAsync());
        await Tiny.RefusedAsync(Refusal.TokenUsed, StatusCode.PermissionDenied, () => _test.CertifyAsync(open, "a"));
        Assert.Equal(reply, await RevokeAsync("a")); // again: nothing changes
    }

    [Theory]
    [InlineData("b", StatusCode.NotFound, "'a'")]
    [InlineData("../a", StatusCode.InvalidArgument, "lower-case letters")]
    public async Task Revoke_NoSuchSite_IsRefusedSayingWhatIsRight(string name, StatusCode code, string says)
    {
        await _test.EnrolAsync("a");
        await Tiny.RefusedAsync(Refusal.Invalid, code, () => RevokeAsync(name), says);
    }

    private static Task<NodeTask> Poll(TestNode node) => node.Client.NextTaskAsync(new NextTaskRequest(), cancellationToken: Cancelled).ResponseAsync;

    private static Task<RpcException> RevokedAsync(Func<Task> call) => Tiny.RefusedAsync(Refusal.Revoked, StatusCode.Unauthenticated, call, "'a' was revoked");

    private async Task<RevokeSiteReply> RevokeAsync(string site) => await _test.Operator.RevokeSiteAsync(new RevokeSiteRequest { Name = site }, cancellationToken: Cancelled);

    private async Task<string> StateAsync(string site) => (await _test.Operator.ListSitesAsync(new ListSitesRequest())).Sites.Single(one => one.Name == site).State;
}
