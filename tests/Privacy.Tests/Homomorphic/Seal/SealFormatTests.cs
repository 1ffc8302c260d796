using System.Buffers.Binary;
using System.IO.Compression;
using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using ZstdSharp;

namespace Federation.Privacy.Tests.Homomorphic.Seal;

public sealed class SealFormatTests
{
    private static readonly SealObjects s_small = new(new(2048, [0x7ff6001, 0x7fe6001], 8));

    public static TheoryData<string> Kinds => [.. SealObjects.Kinds.Select(kind => $"{kind}")];

    [Fact] // SEAL 4.4's hashes
    public void LevelId_KnownSets_AreSeals()
    {
        BfvParameters parameters = BfvParameters.Default(8192, 1UL << 40);
        Assert.Equal("8c266e24de29006e ef2ed2b7d0bfc50e 142e23306d12de92 50bb3019e234a896", Id(parameters, 5));
        Assert.Equal("30f896009a0bd2ab 0ee42d2fe1d84b48 de4dac35ca81fb1b ef3c962f44800f89", Id(parameters, 4));
        Assert.Equal("8b3f51b3d1cf2cd7 4682493e1d5950ab fadb063279f65c4d 1b73d0280e19066d", Id(parameters, 1));
        Assert.Equal("d529462e17b0f051 c057c2c7d402188f 61f6dbdc01de0d10 bff9017e62a404e0", Id(BfvParameters.Default(4096, 1032193), 3));

        static string Id(BfvParameters parameters, int primes) => string.Join(' ', Enumerable.Range(0, 4).Select(i => $"{BinaryPrimitives.ReadUInt64LittleEndian(parameters.LevelId(primes)[(8 * i)..]):x16}"));
    }

    [Fact] // SEAL 4.4's sizes
    public void Save_Uncompressed_HasSealsSizes()
    {
        SealObjects objects = new(BfvParameters.Default(8192, 1UL << 40));
        Assert.Equal(57 + (24 * 5), objects.Save(SealKind.Parameters).Length);
        Assert.Equal(88 + (8 * 4), objects.Save(SealKind.Plaintext).Length);
        Assert.Equal(524401, objects.Save(SealKind.Ciphertext).Length);
        Assert.Equal(655473, objects.Save(SealKind.PublicKey).Length);
        Assert.Equal(327768, objects.Save(SealKind.SecretKey).Length);
        Assert.Equal(113 + (8 * 4 * 8192) + 81, objects.Seeded(SealKind.Ciphertext).Length);
        Assert.Equal(129, SealFormat.Save(BfvParameters.Default(4096, 1032193)).Length);
        foreach (SealKind kind in SealObjects.Kinds) Assert.Equal("5ea1100404000000", Convert.ToHexStringLower(objects.Save(kind)[..8]));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Load_EveryForm_IsTheSameObject(string name)
    {
        SealKind kind = Enum.Parse<SealKind>(name);
        byte[] plain = s_small.Save(kind);
        ulong[] expected = s_small.Load(kind, plain);
        foreach (SealVersion version in Enum.GetValues<SealVersion>())
        {
            foreach (SealCompression compression in Enum.GetValues<SealCompression>()) Assert.Equal(expected, s_small.Load(kind, s_small.Save(kind, compression, version)));
        }

        for (int minor = 4; minor <= 7; minor++) Assert.Equal(expected, s_small.Load(kind, SealObjects.Old(kind, plain, minor)));
    }

    [Fact] // Both generators; the first half and what the seed gives
    public void Load_Seeded_TakesTheSecondHalfFromTheGenerator()
    {
        byte[] seed = [.. Enumerable.Range(0, 64).Select(i => (byte)i)];
        foreach (SealKind kind in new[] { SealKind.Ciphertext, SealKind.PublicKey })
        {
            RnsRing ring = kind == SealKind.Ciphertext ? s_small.Parameters.DataRing : s_small.Parameters.KeyRing;
            foreach (byte generator in (byte[])(Shake256.IsSupported ? [1, 2] : [1]))
            {
                ulong[] expected = s_small.Load(kind, s_small.Save(kind));
                new SealGenerator((SealGeneratorKind)generator, seed).Uniform(ring, expected.AsSpan(ring.Words));
                Assert.Equal(expected, s_small.Load(kind, s_small.Seeded(kind, generator)));
            }

            Assert.Equal("generator", Refused(kind, s_small.Seeded(kind, 3)).Field);
            SealFormatException old = Refused(kind, SealObjects.Old(kind, s_small.Seeded(kind), 4));
            Assert.Contains("3.4", old.Message, StringComparison.Ordinal);
        }
    }

    [Fact] // Each message names object, field, place, what was found and what would be right
    public void Load_WrongField_IsNamed()
    {
        Expect(SealKind.Ciphertext, 0, [0x5F], "magic", 0, "0xA15F", "0xA15E");
        Expect(SealKind.Ciphertext, 2, [0x11], "header size", 2, "17", "16");
        Expect(SealKind.Ciphertext, 4, [5], "version", 3, "4.5", "4.4");
        Expect(SealKind.Ciphertext, 3, [5], "version", 3, "5.4", "4.4");
        Expect(SealKind.Ciphertext, 5, [3], "compression", 5, "3", "Zstandard");
        Expect(SealKind.Ciphertext, 6, [1], "reserved bytes", 6, "0x1", "zero");
        Expect(SealKind.Ciphertext, 8, [0x70], "size", 8, "", "bytes are there");
        Expect(SealKind.Ciphertext, 16, [0, 0, 0, 0], "parms_id", 16, "00000000", "made for other parameters");
        Expect(SealKind.Ciphertext, 48, [1], "NTT form", 48, "1", "0");
        Expect(SealKind.Ciphertext, 49, [3], "size", 49, "3", "2");
        Expect(SealKind.Ciphertext, 57, [1], "polynomial modulus degree", 57, "2049", "2048");
        Expect(SealKind.Ciphertext, 65, [2], "number of primes", 65, "2", "1");
        Expect(SealKind.Ciphertext, 80, [0x40], "scale", 73, "", "1");
        Expect(SealKind.Ciphertext, 81, [2], "correction factor", 81, "2", "1");
        Expect(SealKind.Ciphertext, 89 + 5, [1], "compression of polynomials", 89, "Zlib", "not compressed");
        Expect(SealKind.Ciphertext, 105, [1], "count of polynomials", 105, "4097", "4096 or 2048");
        Expect(SealKind.Ciphertext, 113 + 7, [0xFF], "word 0 of first polynomial", 113, "larger", $"{0x7ff6001}");
        Expect(SealKind.Ciphertext, 113 + (8 * 2049) + 7, [0xFF], "word 1 of second polynomial", 113 + (8 * 2049), "larger", $"{0x7ff6001}");
        Expect(SealKind.PublicKey, 48, [0], "NTT form", 48, "0", "1");
        Expect(SealKind.Plaintext, 16, [1], "parms_id", 16, "not zero", "coefficient form");
        Expect(SealKind.Plaintext, 48, [1, 8], "coefficient count", 48, "2049", "2048");
        Expect(SealKind.Plaintext, 48, [3], "count of coefficients", 80, "4", "3");
        Expect(SealKind.Plaintext, 88, [8], "word 0 of coefficients", 88, "larger", "8");
        Expect(SealKind.SecretKey, 48, [1], "coefficient count", 48, "4097", "4096");
        Expect(SealKind.Parameters, 16, [2], "scheme", 16, "2", "BFV");
        Expect(SealKind.Parameters, 17, [0, 0], "polynomial modulus degree", 17, "0", "1024");
        Expect(SealKind.Parameters, 25, [65], "number of primes", 25, "65", "64");
        Expect(SealKind.Parameters, 33 + 16, [3], "values", 16, "parameters", "multiple of 4096");
        Expect(SealKind.Parameters, 33 + 8, [25], "size of prime 0", 33, "25", "24");

        void Expect(SealKind kind, int place, byte[] bytes, string field, int offset, string found, string right)
        {
            byte[] wrong = s_small.Save(kind);
            bytes.CopyTo(wrong, place);
            SealFormatException exception = Refused(kind, wrong);
            Assert.Equal((field, (long)offset), (exception.Field, exception.Offset));
            Assert.StartsWith($"{exception.Object}, {field} at byte {offset}: found ", exception.Message, StringComparison.Ordinal);
            Assert.Contains(found, exception.Message, StringComparison.Ordinal);
            Assert.Contains(right, exception.Message.Split(", but ")[1], StringComparison.Ordinal);
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Load_EveryPrefixAndAnyExtension_IsRefused(string name)
    {
        SealKind kind = Enum.Parse<SealKind>(name);
        foreach (SealCompression compression in Enum.GetValues<SealCompression>())
        {
            byte[] whole = s_small.Save(kind, compression);
            for (int length = 0; length < whole.Length; length += length < 200 || length > whole.Length - 40 ? 1 : 97)
            {
                byte[] prefix = whole[..length];
                Refused(kind, prefix);
                if (length < 16) continue;
                BinaryPrimitives.WriteUInt64LittleEndian(prefix.AsSpan(8), (ulong)length);
                Refused(kind, prefix);
            }

            Refused(kind, [.. whole, 0]);
            Refused(kind, SealObjects.Stored([.. whole[16..], 0], compression));
            Refused(kind, SealObjects.Stored([.. whole[16..], .. whole[16..]], compression));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Load_OtherParameters_IsNamed(string name)
    {
        SealKind kind = Enum.Parse<SealKind>(name);
        if (kind is SealKind.Parameters or SealKind.Plaintext) return; // they carry none
        SealObjects others = new(new(2048, [0x7ff6001, 0x7fe6001], 16));
        Assert.Contains("made for other parameters", Assert.Throws<SealFormatException>(() => { others.Load(kind, s_small.Save(kind)); }).Message, StringComparison.Ordinal);
    }

    [Fact] // A key's level is not a ciphertext's
    public void Load_CiphertextOfTheKeyLevel_IsRefused()
    {
        byte[] key = s_small.Save(SealKind.PublicKey);
        key[48] = 0;
        Assert.Equal("parms_id", Refused(SealKind.Ciphertext, key).Field);
    }

    [Theory] // A gigabyte of zeros in ten megabytes or less: refused by the limit, and before more than twice the object was taken
    [InlineData(1)]
    [InlineData(2)]
    public void Load_Bomb_IsRefusedByItsLimit(int compression)
    {
        const int Size = 1 << 30;
        byte[] zeros = new byte[1 << 20];
        using MemoryStream packed = new();
        using (Stream stream = compression == 1 ? new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true) : new CompressionStream(packed, 3, leaveOpen: true))
        {
            for (int i = 0; i < Size / zeros.Length; i++) stream.Write(zeros);
        }

        byte[] bomb = SealObjects.Stored(packed.ToArray(), (SealCompression)compression);
        long most = (2 * s_small.Save(SealKind.PublicKey).Length) + 50_000; // and the objects are made now, not while memory is measured
        foreach (SealKind kind in SealObjects.Kinds)
        {
            SealFormatException exception = null!;
            long before = GC.GetAllocatedBytesForCurrentThread();
            exception = Refused(kind, bomb);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, most);
            Assert.Contains("at most", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact] // SEAL leaves a zero plaintext with one coefficient, and may write none
    public void Plaintext_OfZeros_HasOneCoefficient()
    {
        using Plaintext zero = new(s_small.Parameters, []);
        byte[] bytes = SealFormat.Save(zero);
        Assert.Equal(96, bytes.Length);
        Assert.Equal(zero.Coefficients, SealFormat.LoadPlaintext(s_small.Parameters, bytes).Coefficients);
    }

    [Fact] // as many primes as the largest degree takes: their tables are not made before they are used
    public void LoadParameters_ManyPrimes_TakesNoMoreMemoryThanTheyAreWorth()
    {
        List<ulong> primes = [];
        for (ulong candidate = 65537; primes.Count < 37; candidate += 65536)
        {
            if (new Modulus(candidate).IsPrime()) primes.Add(candidate);
        }

        byte[] bytes = SealFormat.Save(new BfvParameters(32768, primes, 5));
        SealFormat.LoadParameters(bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(37, SealFormat.LoadParameters(bytes).Primes.Count);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 400_000);
    }

    [Theory] // what a compressed secret was written to, and what it was read from
    [InlineData((int)SealCompression.Zlib)]
    [InlineData((int)SealCompression.Zstandard)]
    public void Dispose_OfABody_WipesIt(int compression)
    {
        byte[] stored;
        byte[] written;
        using (SealWriter writer = new(SealVersion.Seal44, 100))
        {
            written = Object(writer);
            writer.Bytes([.. Enumerable.Repeat((byte)7, 100)]);
            stored = writer.Finish((SealCompression)compression);
        }

        Assert.All(written, value => Assert.Equal(0, value));
        SealBody body = new("test", stored, 1000);
        ReadOnlySpan<byte> bytes = body.Bytes;
        Assert.Equal(7, bytes[99]);
        body.Dispose();
        Assert.False(bytes.ContainsAnyExcept((byte)0));

        [System.Runtime.CompilerServices.UnsafeAccessor(System.Runtime.CompilerServices.UnsafeAccessorKind.Field, Name = "_object")]
        static extern ref byte[] Object(SealWriter writer);
    }

    [Fact] // Parameters outside SEAL's limits are refused before a ring is made of them
    public void LoadParameters_ImpossibleValues_AreNamed()
    {
        Assert.Contains("bits together", Of(1024, [0x7ff6001, 0x7fe6001], 8).Message, StringComparison.Ordinal);
        Assert.Contains("bits together", Of(1024, [ulong.MaxValue], 8).Message, StringComparison.Ordinal);
        Of(1024, [0], 8);
        Of(1024, [1], 8);
        Of(1024, [2049 * 3], 8);
        Of(1024, [0x7e00001], 0);
        Of(1024, [0x7e00001], 1UL << 60);
        Of(1024, [0x7e00001], 0x7e00001);
        Of(1025, [0x7e00001], 8);
        Of(ulong.MaxValue, [0x7e00001], 8);

        static SealFormatException Of(ulong degree, ulong[] primes, ulong plainModulus)
        {
            byte[] bytes = [1, .. BitConverter.GetBytes(degree), .. BitConverter.GetBytes((ulong)primes.Length), .. primes.Append(plainModulus).SelectMany(Modulus)];
            return Refused(SealKind.Parameters, SealObjects.Stored(bytes, SealCompression.None));
        }

        static byte[] Modulus(ulong value) => SealObjects.Stored(BitConverter.GetBytes(value), SealCompression.None);
    }

    private static SealFormatException Refused(SealKind kind, byte[] bytes) => Assert.Throws<SealFormatException>(() => { s_small.Load(kind, bytes); });
}
