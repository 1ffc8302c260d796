using System.Buffers.Binary;
using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic.Seal;

public sealed class SealGeneratorTests
{
    private static readonly byte[] s_seed = [.. Enumerable.Range(1, 8).SelectMany(word => BitConverter.GetBytes((ulong)word))];

    [Fact] // What SEAL 4.4 draws
    public void Fill_Blake2Xb_IsSeals()
    {
        byte[] bytes = Draw(SealGeneratorKind.Blake2Xb);
        Assert.Equal("3984716049ea22d4f590de50b2754c4c", Convert.ToHexStringLower(bytes[..16]));
        Assert.Equal("463a034a88ee479600bb040a07caccfb", Convert.ToHexStringLower(bytes[4096..4112]));
    }

    [Fact]
    public void Fill_Shake256_IsOfSeedAndCount()
    {
        if (!Shake256.IsSupported)
        {
            Assert.Throws<PlatformNotSupportedException>(() => new SealGenerator(SealGeneratorKind.Shake256, s_seed));
            Assert.Skip("This system's cryptographic library has no SHAKE256.");
        }

        byte[] bytes = Draw(SealGeneratorKind.Shake256);
        Assert.Equal("2469af4ebdafbac43b05cc60f049c21f", Convert.ToHexStringLower(bytes[..16]));
        Assert.Equal("843c33c33635301b4c7da1cb8ffb3630", Convert.ToHexStringLower(bytes[4096..4112]));
    }

    [Fact]
    public void Fill_InPieces_IsTheSameStream()
    {
        byte[] whole = Draw(SealGeneratorKind.Blake2Xb), pieces = new byte[whole.Length];
        SealGenerator generator = new(SealGeneratorKind.Blake2Xb, s_seed);
        for (int start = 0, length = 1; start < pieces.Length; start += length, length = (length * 3) + 1) generator.Fill(pieces.AsSpan(start, Math.Min(length, pieces.Length - start)));
        Assert.Equal(whole, pieces);
    }

    [Fact] // Rejected words are drawn again behind the first L·N: of 2⁶⁴ words 1 in 17 is not below the largest multiple of this prime
    public void Uniform_RejectedWords_AreDrawnBehindTheOthers()
    {
        RnsRing ring = new(1024, [0xf0f0f0f0f150001, 0x7ffc801]);
        ulong[] element = new ulong[ring.Words];
        new SealGenerator(SealGeneratorKind.Blake2Xb, s_seed).Uniform(ring, element);

        byte[] stream = new byte[16 * ring.Words];
        new SealGenerator(SealGeneratorKind.Blake2Xb, s_seed).Fill(stream);
        int next = ring.Words, rejected = 0;
        for (int i = 0; i < element.Length; i++)
        {
            ulong q = ring.Moduli[i / 1024].Value, word = Word(i), end = ulong.MaxValue - (ulong.MaxValue % q) - 1;
            for (; word >= end; rejected++) word = Word(next++);
            Assert.Equal(word % q, element[i]);
        }

        Assert.InRange(rejected, 20, 120);

        ulong Word(int place) => BinaryPrimitives.ReadUInt64LittleEndian(stream.AsSpan(8 * place));
    }

    private static byte[] Draw(SealGeneratorKind kind)
    {
        byte[] bytes = new byte[9000];
        new SealGenerator(kind, s_seed).Fill(bytes);
        return bytes;
    }
}
