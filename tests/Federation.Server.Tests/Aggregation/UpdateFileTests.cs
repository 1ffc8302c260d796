using CsCheck;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;
using Federation.Protocol;
using Federation.Server.Aggregation;
using Grpc.Core;

namespace Federation.Server.Tests.Aggregation;

public sealed class UpdateFileTests : IDisposable
{
    private static readonly ModelState Model = Tiny.Update(1, 2, 3, 4);
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void Check_TheModelsLayoutAndFiniteValues_Passes() => Check(Model.ToBytes());

    [Fact]
    public void Check_LastValueOfALargeFile_IsFound()
    {
        ModelState large = Tiny.Large(100_000);
        large.Tensors[0].Values[^1] = float.NaN;
        File.WriteAllBytes(_path, large.ToBytes());
        var error = Assert.Throws<RpcException>(() => UpdateFile.Check(_path, Sha256Hex.Of(large.ToBytes()), large.Header));
        Assert.Equal((Refusal.NotFinite, true), (RpcError.ReasonOf(error), error.Status.Detail.Contains("at index 99999", StringComparison.Ordinal)));
    }

    [Fact]
    public void Check_HostileBytes_AreRefusedOrTheModelsOwn() => Gen.Select(Gen.Int[0, Model.Header.Bytes.Length - 1], Gen.Byte).Sample(
        (at, value) =>
        {
            byte[] bytes = Model.ToBytes();
            if (bytes[at] == value) return;
            bytes[at] = value;
            var error = Assert.Throws<RpcException>(() => Check(bytes));
            Assert.Equal(Refusal.WrongLayout, RpcError.ReasonOf(error));
        },
        iter: 1000,
        threads: 1);

    [Fact]
    public void Check_HeaderFullOfLongNames_IsRefusedWithAShortReason()
    {
        var hostile = new ModelState(Enumerable.Range(0, 50).Select(i => new NamedTensor(new string((char)('a' + (i % 26)), 5000) + i, [1], [1])));
        var error = Assert.Throws<RpcException>(() => Check(hostile.ToBytes()));
        Assert.InRange(error.Status.Detail.Length, 1, 2100); // it travels in a header, which has limits of its own
    }

    [Fact]
    public void Check_HeaderSaidToBeHuge_IsNotReadIntoMemory()
    {
        byte[] bytes = new byte[40_000_000];
        BitConverter.TryWriteBytes(bytes, 39_000_000UL);
        long before = GC.GetAllocatedBytesForCurrentThread();
        File.WriteAllBytes(_path, bytes);
        var error = Assert.Throws<RpcException>(() => UpdateFile.Check(_path, Sha256Hex.Of(bytes), Model.Header));
        Assert.Equal(Refusal.WrongLayout, RpcError.ReasonOf(error));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1_000_000);
    }

    [Fact]
    public void Check_ValueThatNoTrainingReaches_IsRefusedByName()
    {
        var update = new ModelState([new NamedTensor("w", [40], [.. Enumerable.Range(0, 40).Select(i => i == 35 ? -2e15f : 1e15f)])]);
        File.WriteAllBytes(_path, update.ToBytes());
        UpdateFile.Check(_path, update.Sha256, update.Header, 2e15f);
        var error = Assert.Throws<RpcException>(() => UpdateFile.Check(_path, update.Sha256, update.Header, 1e15f));
        Assert.Contains("'w' holds -2E+15 at index 35; only values of at most 1e+15, which is 10^15 for each example, are counted.", error.Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(-1, true)]
    public void Check_TheStrategysNumber_IsNotNegative(float number, bool isRefused)
    {
        var update = new ModelState([new NamedTensor(UpdateShape.Scalar, [1], [number]), new NamedTensor("w", [2], [-1, 1])]);
        File.WriteAllBytes(_path, update.ToBytes());
        if (isRefused) Assert.Equal(Refusal.NotFinite, RpcError.ReasonOf(Assert.Throws<RpcException>(() => UpdateFile.Check(_path, update.Sha256, update.Header))));
        else UpdateFile.Check(_path, update.Sha256, update.Header);
    }

    private void Check(byte[] update)
    {
        File.WriteAllBytes(_path, update);
        UpdateFile.Check(_path, Sha256Hex.Of(update), Model.Header);
    }
}
