using System.IO.Compression;
using System.Net.Sockets;
using CsCheck;
using Federation.Formats.Models;
using Federation.Protocol;
using Federation.Server.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Tests.Services;

/// <summary>An enrolled site that means harm, or somebody without a certificate: refused, at a bounded cost, and the others' round goes on. Stolen and replayed tokens, foreign and expired certificates: Identity/.</summary>
public sealed class HostileClientTests : IAsyncLifetime
{
    private static readonly string[] s_methods = [.. Node.Descriptor.Methods.Select(method => $"/{Node.Descriptor.FullName}/{method.Name}")];
    private TestCoordinator _test = null!;
    private TestNode[] _honest = null!;
    private TestNode _hostile = null!;
    private RawClient _raw = null!;
    private string _run = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _test = await TestCoordinator.StartAsync();
        TestNode[] all = await _test.EnrolAllAsync("a", "b", "c", "mallory");
        (_honest, _hostile) = (all[..3], all[3]);
        _run = await _test.OpenRoundAsync(all);
        _raw = new RawClient(_test.Coordinator.NodesAddress, _hostile.Credential);
    }

    public async ValueTask DisposeAsync()
    {
        _raw.Dispose();
        await _test.DisposeAsync();
    }

    [Fact]
    public async Task Call_FuzzedMessages_AreRefusedOrHarmless()
    {
        string[] quick = [.. s_methods.Where(method => !method.EndsWith("/NextTask", StringComparison.Ordinal))];
        await Gen.Select(Gen.Int[0, quick.Length - 1].Select(i => quick[i]), Gen.Byte.Array[0, 300], Gen.Bool).SampleAsync(async (method, bytes, framed) =>
        {
            await _raw.CallAsync(method, framed ? RawClient.Frame(bytes) : bytes, cancellation: Cancelled);
        }, iter: 400, threads: 1);
        await FinishAsync();
    }

    [Fact] // well-formed messages with senseless fields reach further than random bytes
    public async Task Call_FuzzedFields_AreRefusedOrHarmless()
    {
        string[] tricks = [_run, _run, _run, "..", "../../state.db", "/etc/passwd", "a\0b", "con", ""];
        Gen<string> names = Gen.OneOf(Gen.Int[0, tricks.Length - 1].Select(i => tricks[i]), Gen.String[0, 100]);
        await Gen.Select(names, names, Gen.UInt, Gen.ULong, Gen.Byte.Array[0, 100]).SampleAsync(async (run, hash, round, size, bytes) =>
        {
            (string Method, IMessage Message)[] calls =
            [
                ("BeginUpload", new BeginUploadRequest { RunId = run, Round = round, ModelSha256 = hash, UpdateSha256 = hash, Size = size, Weight = size, Data = ByteString.CopyFrom(bytes) }),
                ("Upload", new UploadChunk { RunId = run, Round = round, UpdateSha256 = hash, Offset = size, Data = ByteString.CopyFrom(bytes), Zstd = size % 2 == 0 }),
                ("Download", new DownloadRequest { Sha256 = hash, Offset = size }),
                ("ReportReadiness", new ReadinessReport { RunId = run, Mismatches = { hash } }),
                ("ReportEvaluation", new EvaluationReport { RunId = run, Round = round, ModelSha256 = hash, Sums = new EvaluationSums { Examples = size, LogLossSum = double.NaN } }),
                ("SendEpochMessage", new EpochMessage { RunId = run, Epoch = size, Step = round, Body = ByteString.CopyFrom(bytes), To = round }),
                ("SendOpeningAnswer", new OpeningAnswer { RunId = run, RequestSha256 = hash, Answer = ByteString.CopyFrom(bytes) }),
                ("RenewCertificate", new RenewCertificateRequest { CertificateSigningRequest = ByteString.CopyFrom(bytes) }),
            ];
            foreach ((string method, IMessage message) in calls) Assert.NotEqual(StatusCode.Internal, await _raw.CallAsync($"/{Node.Descriptor.FullName}/{method}", RawClient.Frame(message.ToByteArray()), cancellation: Cancelled));
        }, iter: 60, threads: 1);
        await FinishAsync();
    }

    [Fact]
    public async Task Call_CompressedMessageOfGigabytes_IsRefusedWithoutTakingTheMemory()
    {
        using var stream = new MemoryStream();
        byte[] zeros = new byte[1 << 20];
        using (var gzip = new GZipStream(stream, CompressionLevel.Optimal, leaveOpen: true)) for (int i = 0; i < 1024; i++) gzip.Write(zeros);
        byte[] frame = RawClient.Frame(stream.ToArray(), compressed: true);
        Assert.InRange(frame.Length, 0, Limits.MessageBytes);
        await _raw.CallAsync(s_methods[0], [], cancellation: Cancelled);
        long before = GC.GetTotalAllocatedBytes();
        StatusCode status = await _raw.CallAsync(s_methods[0], frame, "gzip", Cancelled);
        Assert.True(status is StatusCode.Unimplemented or StatusCode.ResourceExhausted, $"{status}");
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 64 << 20);
        await FinishAsync();
    }

    [Fact]
    public async Task Call_LargerThanAMessageMayBe_IsRefusedBeforeItIsRead()
    {
        byte[] frame = RawClient.Frame(new byte[Limits.MessageBytes + 1]);
        Assert.Equal(StatusCode.ResourceExhausted, await _raw.CallAsync(s_methods[0], frame, cancellation: Cancelled));
        frame[1] = 0x7f; // 2 GB, of which 4 MB come
        Assert.Equal(StatusCode.ResourceExhausted, await _raw.CallAsync(s_methods[0], frame, cancellation: Cancelled));
        await FinishAsync();
    }

    [Fact]
    public async Task Upload_CompressedPieceOfMoreThanAnnounced_IsRefused()
    {
        using var compressor = new ZstdSharp.Compressor();
        ModelState update = Tiny.Update(1, 2, 3, 4);
        await _hostile.BeginAsync(_run, 1, _test.StateOf(_run).ModelSha256, update);
        using AsyncClientStreamingCall<UploadChunk, UploadReply> call = _hostile.Client.Upload(cancellationToken: Cancelled);
        await call.RequestStream.WriteAsync(new UploadChunk { RunId = _run, Round = 1, UpdateSha256 = update.Sha256, Data = ByteString.CopyFrom(compressor.Wrap(new byte[8 << 20])), Zstd = true }, Cancelled);
        RpcException error = await Assert.ThrowsAsync<RpcException>(async () => await call.ResponseAsync);
        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
        await FinishAsync();
    }

    [Fact] // streams that never end and never say anything
    public async Task Upload_ManyStreamsThatStayOpen_HoldNobodyUp()
    {
        List<AsyncClientStreamingCall<UploadChunk, UploadReply>> open = [];
        try
        {
            ModelState update = Tiny.Update(1, 2, 3, 4);
            await _hostile.BeginAsync(_run, 1, _test.StateOf(_run).ModelSha256, update);
            for (int i = 0; i < CallLimits.Calls; i++)
            {
                open.Add(_hostile.Client.Upload(cancellationToken: Cancelled));
                if (i % 2 == 0) await open[^1].RequestStream.WriteAsync(new UploadChunk { RunId = _run, Round = 1, UpdateSha256 = update.Sha256, Data = ByteString.CopyFrom(update.ToBytes().AsSpan(0, 1)) }, Cancelled);
            }

            await FinishAsync();
        }
        finally
        {
            foreach (var call in open) call.Dispose();
        }
    }

    [Fact] // slow loris: connections that begin a TLS handshake and stop
    public async Task Connect_ManyThatSayNothing_HoldNobodyUpAndAreClosed()
    {
        List<TcpClient> open = [];
        try
        {
            for (int i = 0; i < 200; i++)
            {
                open.Add(new TcpClient());
                await open[^1].ConnectAsync("127.0.0.1", _test.Coordinator.NodesAddress.Port, Cancelled);
                await open[^1].GetStream().WriteAsync(new byte[] { 22, 3, 1 }, Cancelled);
            }

            await FinishAsync();
            byte[] buffer = new byte[64];
            foreach (TcpClient client in open) Assert.Equal(0, await ReadAsync(client, buffer)); // the coordinator gave up
        }
        finally
        {
            foreach (TcpClient client in open) client.Dispose();
        }
    }

    private static async Task<int> ReadAsync(TcpClient client, byte[] buffer)
    {
        try
        {
            return await client.GetStream().ReadAsync(buffer, Cancelled).AsTask().WaitAsync(TimeSpan.FromSeconds(60), Cancelled);
        }
        catch (IOException)
        {
            return 0; // reset
        }
    }

    /// <summary>The honest sites' round comes to its end, by the deadline where the hostile one is missing.</summary>
    private async Task FinishAsync()
    {
        foreach (TestNode node in _honest) await node.ContributeAsync(_run, Tiny.Update(1, 2, 3, 4));
        _test.Sleep(TimeSpan.FromMinutes(1));
        _test.Wait();
        await _test.SummedAsync(_run);
        ModelState model = await _test.DownloadAsync((await _test.ShowAsync(_run)).Rounds[0].ModelSha256);
        Assert.Equal([4f, 1f, 2f, 3f], Tiny.Values(model)); // tensors by name
    }
}
