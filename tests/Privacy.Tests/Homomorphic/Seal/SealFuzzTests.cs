using System.Buffers.Binary;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Tests.Fuzz;

namespace Federation.Privacy.Tests.Homomorphic.Seal;

/// <summary>Broken SEAL objects of every kind, compression and age.</summary>
public sealed class SealFuzzTests
{
    private const long Usual = 20_000;
    private const int Slack = 16 << 10; // the exception, and the buffers of the decompressors
    private const int Packing = 48 << 10;

    // Of no higher degree is this prime one: a changed degree makes no large ring.
    private static readonly SealObjects s_objects = new(new(1024, [0x7fff801], 16));

    public static TheoryData<string> Kinds => [.. SealObjects.Kinds.Select(kind => $"{kind}")];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Load_BrokenBytes_GivesAnObjectOrTheNamedError(string name)
    {
        SealKind kind = Enum.Parse<SealKind>(name);
        byte[] plain = s_objects.Save(kind);
        List<byte[]> corpus = [plain, plain, SealObjects.Old(kind, plain, 4), SealObjects.Old(kind, plain, 6), s_objects.Save(kind, SealCompression.None, SealVersion.Seal41)];
        if (kind is SealKind.Ciphertext or SealKind.PublicKey) corpus.AddRange([s_objects.Seeded(kind), s_objects.Seeded(kind, 2)]);
        int uncompressed = corpus.Count;
        foreach (SealCompression compression in new[] { SealCompression.Zlib, SealCompression.Zstandard }) corpus.Add(s_objects.Save(kind, compression));
        long whole = Fuzzer.Inputs(Usual), packed = whole / 20;
        // The largest object of the kind, not this one: a plaintext has up to N words.
        long limit = kind switch
        {
            SealKind.Parameters => 57 + (24 * 64),
            SealKind.Plaintext => 88 + (8 * 1024),
            _ => plain.Length,
        };
        long memory = (2 * limit) + Slack;
        int fields = Fuzzer.Run<SealFormatException>(name, whole - packed, new ByteMutator((int)kind, corpus, 140, Repair), Decode, _ => memory, Field);
        Assert.InRange(fields, 10, int.MaxValue); // the inputs reach everything

        // Broken first, then packed: what only the reader of the decompressed bytes can refuse, and what is too long.
        ByteMutator inside = new(100 + (int)kind, [.. corpus.Take(uncompressed)], 140, Repair);
        int turn = 0;
        Fuzzer.Run<SealFormatException>(name + ", packed when broken", packed, inside, input =>
        {
            if (input.Length < SealHeader.Bytes) return true;
            SealCompression compression = turn++ % 2 == 0 ? SealCompression.Zlib : SealCompression.Zstandard;
            return Decode(SealObjects.Stored(SealPacking.Pack(compression, input[SealHeader.Bytes..]), compression));
        }, _ => memory + Packing, Field);

        bool Decode(ReadOnlySpan<byte> input)
        {
            // Objects check themselves: what was made is valid. Parameters come with tables.
            return s_objects.LoadObject(kind, input) is not BfvParameters;
        }
    }

    /// <summary>Without the numbers of words.</summary>
    private static string Field(SealFormatException refusal) => refusal.Field.StartsWith("word ", StringComparison.Ordinal) ? "a word" : refusal.Field;

    /// <summary>The outer size, in either form of header.</summary>
    private static void Repair(Span<byte> input)
    {
        if (input.Length < SealHeader.Bytes) return;
        if (input[2] == 0) BinaryPrimitives.WriteUInt32LittleEndian(input[4..], (uint)input.Length);
        else BinaryPrimitives.WriteUInt64LittleEndian(input[8..], (ulong)input.Length);
    }
}
