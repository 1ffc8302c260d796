using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using CsCheck;
using Federation.Formats.Models;

namespace Federation.Formats.Tests;

public sealed class SafetensorsTests
{
    private static readonly NamedTensor A = new("a", [2], [1.5f, -2]), B = new("b", [1, 2], [0.25f, 3]);

    [Fact] // The file and its hash were made by an independent program
    public void ToBytes_TwoTensors_AreThePublishedFile()
    {
        var state = new ModelState([B, A]);
        Assert.Equal("190b201eef995f285562f7b442ebc47376a03b5e37a940b2783b41031c344319", state.Sha256);
        Assert.Equal(136, state.ToBytes().Length);
        Assert.Equal(state.Sha256, Federation.Privacy.Canonical.Sha256Hex.Of(state.ToBytes()));
    }

    [Fact] // The format's rules, read with nothing of ours: length, '{', offsets, padding
    public void ToBytes_AnyModel_FollowsTheFormatsRules() => States.Sample(state =>
    {
        byte[] file = state.ToBytes();
        long length = (long)BinaryPrimitives.ReadUInt64LittleEndian(file);
        Assert.Equal(0, (8 + length) % 8);
        Assert.Equal((byte)'{', file[8]);
        using JsonDocument header = JsonDocument.Parse(file.AsMemory(8, (int)length));
        long expected = 0;
        foreach (JsonProperty tensor in header.RootElement.EnumerateObject())
        {
            Assert.Equal("F32", tensor.Value.GetProperty("dtype").GetString());
            long[] offsets = [.. tensor.Value.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt64())];
            long count = tensor.Value.GetProperty("shape").EnumerateArray().Aggregate(1L, (product, size) => product * size.GetInt64());
            Assert.Equal([expected, expected + (4 * count)], offsets);
            float[] values = state.Tensors.Single(candidate => candidate.Name == tensor.Name).Values;
            for (int i = 0; i < count; i++) Assert.Equal(values[i], BitConverter.ToSingle(file, (int)(8 + length + offsets[0] + (4 * i))));
            expected = offsets[1];
        }

        Assert.Equal(file.Length, 8 + length + expected);
    });

    [Fact]
    public void Read_OwnFile_IsTheSameModel() => States.Sample(state =>
    {
        byte[] file = state.ToBytes();
        ModelState read = ModelState.Read(new MemoryStream(file), file.Length);
        Assert.Equal(state.Sha256, read.Sha256);
        Assert.Equal(file, read.ToBytes());
        read.Header.RequireCanonicalFloat32();
    });

    [Fact]
    public void Read_MetadataAndOtherOrder_IsTheSameModel()
    {
        byte[] file = File("""{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}""", 0.25f, 3, 1.5f, -2);
        Assert.Equal(new ModelState([A, B]).Sha256, ModelState.Read(new MemoryStream(file), file.Length).Sha256);
        Assert.Throws<SafetensorsException>(() => SafetensorsHeader.Read(new MemoryStream(file), file.Length).RequireCanonicalFloat32());
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}""", "stands twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}""", "without gap")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}""", "without gap or overlap")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,16]}}""", "need 12 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}""", "the file has 16")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "the file has 16")]
    [InlineData("""{"a":{"dtype":"F31","shape":[4],"data_offsets":[0,16]}}""", "'F31'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}""", "no size")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}""", "too many values")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}""", "[16, 0)")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"extra":1}}""", "'extra'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4]}}""", "needs dtype")]
    [InlineData("""{"a":[]}""", "no object")]
    [InlineData("""{"__metadata__":{"x":1},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "texts to texts")]
    [InlineData("""[]""", "does not begin with '{'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}{}""", "")]
    [InlineData("""{"a":""", "")]
    public void Read_BrokenHeader_IsRefusedWithTheReason(string header, string reason)
    {
        byte[] file = File(header, 1, 2, 3, 4);
        var error = Assert.Throws<SafetensorsException>(() => ModelState.Read(new MemoryStream(file), file.Length));
        Assert.Contains(reason, error.Message);
    }

    [Fact]
    public void Read_DeeplyNestedHeader_IsRefused()
    {
        byte[] file = File("{\"a\":" + new string('[', 100_000), 1);
        Assert.Throws<SafetensorsException>(() => ModelState.Read(new MemoryStream(file), file.Length));
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(long.MaxValue)]
    [InlineData(100_000_001UL)]
    [InlineData(99_999_999UL)]
    public void Read_HostileHeaderLength_TakesNoMemory(ulong length)
    {
        byte[] file = new byte[64];
        BinaryPrimitives.WriteUInt64LittleEndian(file, length);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<SafetensorsException>(() => SafetensorsHeader.Read(new MemoryStream(file), file.Length));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
    }

    [Fact]
    public void Read_LengthOfALargerFile_TakesLittleMemory()
    {
        // The caller says 40 GB; the stream ends after the header. Only one piece may be allocated.
        byte[] header = File("""{"a":{"dtype":"F32","shape":[500000000],"data_offsets":[0,2000000000]}}""");
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<SafetensorsException>(() => ModelState.Read(new MemoryStream(header), header.Length + 2_000_000_000L));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4_000_000);
    }

    [Fact]
    public void DifferencesFrom_OtherLayout_NamesEachTensor()
    {
        var expected = SafetensorsHeader.Float32([("a", [2]), ("b", [1, 2]), ("c", [])]);
        IReadOnlyList<string> differences = SafetensorsHeader.Float32([("a", [3]), ("b", [1, 2]), ("d", [1])]).DifferencesFrom(expected);
        Assert.Equal(["'a' is F32[3]; F32[2] is right.", "'c' F32[] is missing.", "'d' F32[1] is not part of the model."], differences);
        Assert.Empty(expected.DifferencesFrom(expected));
    }

    [Fact] // Any bytes, and any valid file with some bytes changed, cut or doubled
    public void Read_AnyBytes_GivesAModelOrARefusal() => Gen.Select(States, Gen.Int[0, 3], Gen.Int[0, 300], Gen.Byte, Gen.Byte.Array[0, 200]).Sample((state, how, at, value, noise) =>
    {
        byte[] file = state.ToBytes();
        at %= file.Length;
        byte[] changed = how switch
        {
            0 => noise,
            1 => file[..at],
            2 => [.. file[..at], value, .. file[(at + 1)..]],
            _ => [.. file, .. noise],
        };
        try
        {
            ModelState.Read(new MemoryStream(changed), changed.Length).ToBytes();
        }
        catch (SafetensorsException)
        {
            // refused, as it should be
        }
    });

    private static Gen<ModelState> States =>
        Gen.Select(Gen.String[Gen.Char.AlphaNumeric, 1, 8], Gen.Int[0, 3].Array[0, 3], Gen.Float).Array[1, 4]
            .Select(entries => new ModelState(entries.DistinctBy(entry => entry.Item1).Select(entry =>
                new NamedTensor(entry.Item1, [.. entry.Item2.Select(size => (long)size)], [.. Enumerable.Range(0, entry.Item2.Aggregate(1, (product, size) => product * size)).Select(i => entry.Item3 + i)]))));

    private static byte[] File(string header, params float[] values)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] file = new byte[8 + json.Length + (4 * values.Length)];
        BinaryPrimitives.WriteUInt64LittleEndian(file, (ulong)json.Length);
        json.CopyTo(file, 8);
        Buffer.BlockCopy(values, 0, file, 8 + json.Length, 4 * values.Length);
        return file;
    }
}
