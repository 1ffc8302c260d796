using Federation.Formats.Models;
using Federation.Privacy.Canonical;
using Federation.Protocol;
using Federation.Server.Runs;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Tests.Services;

/// <summary>Faults and bad input: each is refused with its reason, and the round goes on to the model that the honest sites make.</summary>
public sealed class UploadTests : IAsyncLifetime
{
    private static readonly ModelState Good = Tiny.Update(1, 2, 3, 4);
    private TestCoordinator _test = null!;
    private TestNode[] _nodes = null!;
    private string _run = null!;

    private string Model => _test.StateOf(_run).ModelSha256;

    private string SpoolFile => Path.Combine(_test.Folder.Spool, _run, "1", "a");

    public async ValueTask InitializeAsync()
    {
        _test = await TestCoordinator.StartAsync();
        _nodes = await _test.EnrolAllAsync("a", "b", "c");
        _run = await _test.OpenRoundAsync(_nodes);
    }

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public async Task Upload_CutInTheMiddle_ResumesAtItsOffset()
    {
        byte[] update = Good.ToBytes();
        await _nodes[0].BeginAsync(_run, 1, Model, update);
        await Tiny.RefusedAsync(Refusal.WrongSize, StatusCode.Aborted, () => _nodes[0].SendAsync(_run, 1, update, until: 50, piece: 20), "after 50 of");
        BeginUploadReply begun = await _nodes[0].BeginAsync(_run, 1, Model, update);
        Assert.Equal(50UL, begun.Offset);
        await _nodes[0].SendAsync(_run, 1, update, 50);
        await FinishAsync(_nodes[1], _nodes[2]);
    }

    [Fact]
    public async Task Upload_ConnectionBreaks_ResumesAtItsOffset()
    {
        byte[] update = Good.ToBytes();
        await _nodes[0].BeginAsync(_run, 1, Model, update);
        using (AsyncClientStreamingCall<UploadChunk, UploadReply> call = _nodes[0].Client.Upload())
        {
            await call.RequestStream.WriteAsync(new UploadChunk { RunId = _run, Round = 1, UpdateSha256 = Good.Sha256, Data = ByteString.CopyFrom(update.AsSpan(0, 60)) });
            await Condition.HoldsAsync(() => File.Exists(SpoolFile) && new FileInfo(SpoolFile).Length == 60);
        } // disposed without completing: the stream is reset, as when the peer dies

        BeginUploadReply begun = await _nodes[0].BeginAsync(_run, 1, Model, update);
        Assert.Equal(60UL, begun.Offset);
        await _nodes[0].SendAsync(_run, 1, update, 60);
        await FinishAsync(_nodes[1], _nodes[2]);
    }

    [Fact]
    public async Task Upload_OlderConnectionHangs_TheNewerTakesOver()
    {
        byte[] update = Good.ToBytes();
        await _nodes[0].BeginAsync(_run, 1, Model, update);
        using AsyncClientStreamingCall<UploadChunk, UploadReply> hanging = _nodes[0].Client.Upload();
        await hanging.RequestStream.WriteAsync(new UploadChunk { RunId = _run, Round = 1, UpdateSha256 = Good.Sha256, Data = ByteString.CopyFrom(update.AsSpan(0, 60)) });
        await Condition.HoldsAsync(() => File.Exists(SpoolFile) && new FileInfo(SpoolFile).Length == 60);

        BeginUploadReply begun = await _nodes[0].BeginAsync(_run, 1, Model, update); // would wait for ever behind a dead peer
        await _nodes[0].SendAsync(_run, 1, update, (int)begun.Offset);
        await FinishAsync(_nodes[1], _nodes[2]);
    }

    [Fact]
    public async Task Upload_Twice_CountsOnce()
    {
        await _nodes[0].ContributeAsync(_run, Good);
        BeginUploadReply again = await _nodes[0].BeginAsync(_run, 1, Model, Good);
        Assert.Equal((ulong)Good.Header.FileLength, again.Offset);
        Assert.True((await _nodes[0].SendAsync(_run, 1, Good)).Duplicate);
        await FinishAsync(_nodes[1], _nodes[2]);
    }

    [Fact]
    public async Task Upload_AnotherUpdateAfterACountedOne_IsRefusedAndTheFirstStays()
    {
        await _nodes[0].ContributeAsync(_run, Good);
        ModelState other = Tiny.Update(100, 100, 100, 100);
        await Tiny.RefusedAsync(Refusal.AlreadyContributed, StatusCode.AlreadyExists, () => _nodes[0].BeginAsync(_run, 1, Model, other));
        await Tiny.RefusedAsync(Refusal.AlreadyContributed, StatusCode.AlreadyExists, () => _nodes[0].SendAsync(_run, 1, other));
        await FinishAsync(_nodes[1], _nodes[2]);
    }

    [Fact]
    public async Task Upload_AnotherUpdateBeforeTheFirstIsComplete_TakesItsPlace()
    {
        byte[] other = Tiny.Update(100, 100, 100, 100).ToBytes();
        await _nodes[0].BeginAsync(_run, 1, Model, other);
        await Assert.ThrowsAsync<RpcException>(() => _nodes[0].SendAsync(_run, 1, other, until: 40));
        BeginUploadReply begun = await _nodes[0].BeginAsync(_run, 1, Model, Good);
        Assert.Equal(0UL, begun.Offset);
        await _nodes[0].SendAsync(_run, 1, Good);
        await FinishAsync(_nodes[1], _nodes[2]);
    }

    [Fact]
    public async Task BeginUpload_WithAllOfASmallUpdate_CountsItOnce()
    {
        Train task = (await _nodes[0].NextAsync()).Train;
        Assert.Equal(Model, Sha256Hex.Of(task.Model.Span)); // the model came along, too
        byte[] other = Tiny.Update(100, 100, 100, 100).ToBytes();
        await _nodes[0].BeginAsync(_run, 1, Model, other);
        await Assert.ThrowsAsync<RpcException>(() => _nodes[0].SendAsync(_run, 1, other, until: 40)); // what was begun otherwise makes room
        for (int i = 0; i < 2; i++) Assert.Equal((ulong)Good.Header.FileLength, (await WholeAsync(Good.ToBytes())).Offset);
        await Tiny.RefusedAsync(Refusal.AlreadyContributed, StatusCode.AlreadyExists, () => WholeAsync(other));
        await FinishAsync(_nodes[1], _nodes[2]);
        RoundSummary round = (await _test.ShowAsync(_run)).Rounds[0];
        Assert.Equal((5 * (ulong)Good.Header.FileLength) + 40, round.BytesUp); // whatever came, also what did not count
        Assert.InRange(round.BytesControl, 1UL, 3 * 5000UL);
    }

    [Fact]
    public async Task BeginUpload_WithOtherBytesThanAnnounced_IsRefusedAndTheRightOnesAreTaken()
    {
        byte[] damaged = Good.ToBytes();
        damaged[^1] ^= 1;
        await Tiny.RefusedAsync(Refusal.WrongHash, StatusCode.DataLoss, () => WholeAsync(damaged, sha256: Good.Sha256));
        await Tiny.RefusedAsync(Refusal.WrongSize, StatusCode.InvalidArgument, () => WholeAsync(Good.ToBytes()[..40], Good.Sha256, Good.ToBytes().Length), "40 bytes came with an announcement of");
        await WholeAsync(Good.ToBytes());
        await FinishAsync(_nodes[1], _nodes[2]);
    }

    private async Task<BeginUploadReply> WholeAsync(byte[] data, string? sha256 = null, int? size = null) => await _nodes[0].Client.BeginUploadAsync(
        new BeginUploadRequest { RunId = _run, Round = 1, ModelSha256 = Model, UpdateSha256 = sha256 ?? Sha256Hex.Of(data), Size = (ulong)(size ?? data.Length), Weight = 1, Data = ByteString.CopyFrom(data) });

    [Fact]
    public async Task Upload_ManyConnectionsOfOneSiteAtOnce_CountOneUpdate()
    {
        ModelState[] updates = [Good, Tiny.Update(5, 5, 5, 5), Tiny.Update(6, 6, 6, 6)];
        await Parallel.ForAsync(0, 24, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = TestContext.Current.CancellationToken }, async (i, _) =>
        {
            ModelState update = updates[i % updates.Length];
            try
            {
                BeginUploadReply begun = await _nodes[0].BeginAsync(_run, 1, Model, update);
                if (begun.Offset < (ulong)update.Header.FileLength) await _nodes[0].SendAsync(_run, 1, update, (int)begun.Offset);
            }
            catch (RpcException)
            {
                // taken over by another connection, or too late: all that matters is what was counted
            }
        });

        byte[] spooled = await File.ReadAllBytesAsync(SpoolFile, TestContext.Current.CancellationToken);
        RoundOpen open = Assert.IsType<RoundOpen>(_test.StateOf(_run).Phase);
        Assert.Equal(Assert.Single(open.Contributions).Value.UpdateSha256, Sha256Hex.Of(spooled));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public async Task Upload_ValuesThatAreNotFinite_IsRefusedNamingTensorAndIndex(float value)
    {
        ModelState update = Tiny.Update(1, value, 1, 1);
        await _nodes[0].BeginAsync(_run, 1, Model, update);
        await Tiny.RefusedAsync(Refusal.NotFinite, StatusCode.InvalidArgument, () => _nodes[0].SendAsync(_run, 1, update), "'weight' holds");
        await FinishAsync(_nodes); // mended, the site may still contribute
    }

    [Fact]
    public async Task Upload_Reshaped_IsRefusedWithTheDifferences()
    {
        var update = new ModelState([new NamedTensor("weight", [3, 1], [1, 1, 1]), new NamedTensor("bias", [1], [1])]);
        Assert.Equal(Good.Header.FileLength, update.Header.FileLength); // or it would be refused for its size
        await _nodes[0].BeginAsync(_run, 1, Model, update);
        await Tiny.RefusedAsync(Refusal.WrongLayout, StatusCode.InvalidArgument, () => _nodes[0].SendAsync(_run, 1, update), "'weight' is F32[3, 1]; F32[1, 3] is right.");
        await FinishAsync(_nodes);
    }

    [Fact]
    public async Task Upload_OfAnotherSize_IsRefusedBeforeAnythingIsStored()
    {
        var update = new ModelState([new NamedTensor("weight", [1, 300], new float[300]), new NamedTensor("bias", [1], [1])]);
        await Tiny.RefusedAsync(Refusal.WrongSize, StatusCode.InvalidArgument, () => _nodes[0].BeginAsync(_run, 1, Model, update), $"one of this model has {Good.Header.FileLength}");
        Assert.False(File.Exists(SpoolFile));
        await FinishAsync(_nodes);
    }

    [Fact]
    public async Task Upload_DamagedOnTheWay_IsRefusedAndCanBeSentAgain()
    {
        byte[] damaged = Good.ToBytes();
        damaged[^1] ^= 1;
        await _nodes[0].BeginAsync(_run, 1, Model, Good);
        await Tiny.RefusedAsync(Refusal.WrongHash, StatusCode.DataLoss, () => _nodes[0].SendAsync(_run, 1, damaged, sha256: Good.Sha256));
        Assert.Equal(0UL, (await _nodes[0].BeginAsync(_run, 1, Model, Good)).Offset);
        await _nodes[0].SendAsync(_run, 1, Good);
        await FinishAsync(_nodes[1], _nodes[2]);
    }

    [Theory]
    [InlineData(0, Refusal.WrongRound)]
    [InlineData(2, Refusal.WrongRound)]
    [InlineData(uint.MaxValue, Refusal.WrongRound)]
    public async Task Upload_ForAnotherRound_IsRefused(uint round, Refusal expected)
    {
        await Tiny.RefusedAsync(expected, StatusCode.FailedPrecondition, () => _nodes[0].BeginAsync(_run, round, Model, Good));
        await Tiny.RefusedAsync(expected, StatusCode.FailedPrecondition, () => _nodes[0].SendAsync(_run, round, Good));
        await FinishAsync(_nodes);
    }

    [Fact]
    public async Task Upload_ForAClosedRound_IsLate()
    {
        string first = Model;
        await FinishAsync(_nodes);
        await Tiny.RefusedAsync(Refusal.Late, StatusCode.FailedPrecondition, () => _nodes[0].BeginAsync(_run, 1, first, Good));
        await Tiny.RefusedAsync(Refusal.Late, StatusCode.FailedPrecondition, () => _nodes[0].SendAsync(_run, 1, Good));
    }

    [Fact]
    public async Task Upload_FromAnotherModel_IsRefused()
    {
        await Tiny.RefusedAsync(Refusal.WrongModel, StatusCode.FailedPrecondition, () => _nodes[0].BeginAsync(_run, 1, new string('7', 64), Good), "starts from");
        await FinishAsync(_nodes);
    }

    [Fact]
    public async Task Upload_ForAnotherRun_IsRefused()
    {
        await Tiny.RefusedAsync(Refusal.UnknownRun, StatusCode.NotFound, () => _nodes[0].BeginAsync("0123456789abcdef", 1, Model, Good));
        await Tiny.RefusedAsync(Refusal.UnknownRun, StatusCode.NotFound, () => _nodes[0].SendAsync("../../ca", 1, Good));
        await FinishAsync(_nodes);
    }

    [Fact]
    public async Task Upload_OfASiteOutsideTheCohort_IsRefused()
    {
        TestNode stranger = await _test.EnrolAsync("d");
        await Tiny.RefusedAsync(Refusal.NotInCohort, StatusCode.FailedPrecondition, () => stranger.BeginAsync(_run, 1, Model, Good));
        await FinishAsync(_nodes);
    }

    [Fact]
    public async Task Upload_AnnouncedByAnotherSite_IsRefused()
    {
        await _nodes[0].BeginAsync(_run, 1, Model, Good); // no message names a site: b can only ever add to b's own upload
        await Tiny.RefusedAsync(Refusal.WrongHash, StatusCode.FailedPrecondition, () => _nodes[1].SendAsync(_run, 1, Good), "not announced");
        await FinishAsync(_nodes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData((1UL << 40) + 1)]
    [InlineData(ulong.MaxValue)]
    public async Task Upload_WithAnImpossibleWeight_IsRefused(ulong weight)
    {
        await Tiny.RefusedAsync(Refusal.BadWeight, StatusCode.InvalidArgument, () => _nodes[0].BeginAsync(_run, 1, Model, Good, weight));
        await FinishAsync(_nodes);
    }

    [Fact]
    public async Task Upload_ChunksOutOfOrderOrTooMany_AreRefused()
    {
        byte[] update = Good.ToBytes();
        await _nodes[0].BeginAsync(_run, 1, Model, update);
        await Tiny.RefusedAsync(Refusal.WrongOffset, StatusCode.OutOfRange, () => _nodes[0].SendAsync(_run, 1, update, 8), "0 is right");
        await Tiny.RefusedAsync(Refusal.WrongSize, StatusCode.InvalidArgument, () => _nodes[0].SendAsync(_run, 1, [.. update, 1, 2, 3], sha256: Good.Sha256));
        await FinishAsync(_nodes);
    }

    [Fact]
    public async Task Upload_WithNothingInIt_IsRefused()
    {
        using AsyncClientStreamingCall<UploadChunk, UploadReply> call = _nodes[0].Client.Upload();
        await call.RequestStream.CompleteAsync();
        await Tiny.RefusedAsync(Refusal.WrongSize, StatusCode.InvalidArgument, async () => await call.ResponseAsync);
    }

    [Fact]
    public async Task Upload_LargerThanAMessage_IsRefusedAndTheSiteCanGoOn()
    {
        using (AsyncClientStreamingCall<UploadChunk, UploadReply> call = _nodes[0].Client.Upload())
        {
            await call.RequestStream.WriteAsync(new UploadChunk { RunId = _run, Round = 1, UpdateSha256 = Good.Sha256, Data = ByteString.CopyFrom(new byte[Limits.MessageBytes - 200]) });
            await call.RequestStream.CompleteAsync();
            await Tiny.RefusedAsync(Refusal.WrongHash, StatusCode.FailedPrecondition, async () => await call.ResponseAsync); // within a message, but never announced
        }

        await FinishAsync(_nodes);
    }

    [Fact]
    public async Task Upload_TheDiskIsFull_IsRefusedCleanlyAndWorksOnceThereIsRoom()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "needs a device that is always full");
        Directory.CreateDirectory(Path.GetDirectoryName(SpoolFile)!);
        File.CreateSymbolicLink(SpoolFile, "/dev/full");
        byte[] update = Good.ToBytes();
        BeginUploadReply begun = await _nodes[0].BeginAsync(_run, 1, Model, update);
        if (!File.Exists(SpoolFile)) File.CreateSymbolicLink(SpoolFile, "/dev/full"); // an older upload's file was removed
        begun = await _nodes[0].BeginAsync(_run, 1, Model, update);
        await Tiny.RefusedAsync(Refusal.StorageFull, StatusCode.ResourceExhausted, () => _nodes[0].SendAsync(_run, 1, update, (int)begun.Offset), "disk is full");
        File.Delete(SpoolFile);
        await FinishAsync(_nodes);
    }

    /// <summary>These sites contribute the good update; the round then makes the model that it makes without any fault.</summary>
    private async Task FinishAsync(params TestNode[] nodes)
    {
        foreach (TestNode node in nodes)
        {
            BeginUploadReply begun = await node.BeginAsync(_run, 1, Model, Good);
            await node.SendAsync(_run, 1, Good, (int)begun.Offset);
        }

        await _test.SummedAsync(_run);
        RoundSummary round = (await _test.ShowAsync(_run)).Rounds[0];
        Assert.Equal(["a", "b", "c"], round.Contributors);
        Assert.Equal((3UL, Good.Sha256), (round.Weight, round.ModelSha256)); // zero + the mean of three times the same
    }
}
