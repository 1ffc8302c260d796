using System.Numerics;
using System.Security.Cryptography;
using CsCheck;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class PadRingTests
{
    private static readonly Gen<ulong[]> s_residues = Gen.Frequency((4, Gen.ULong[0, PadRing.Modulus - 1]), (1, Gen.OneOf([.. new[] { 0UL, 1UL, PadRing.Modulus - 1, PadRing.Modulus / 2, (PadRing.Modulus / 2) + 1 }.Select(value => Gen.Const(value))]))).Array[PadRing.Degree];

    [Theory]
    [InlineData(3, 38)]
    [InlineData(10, 37)]
    [InlineData(100, 36)]
    [InlineData(1000, 34)]
    [InlineData(4096, 33)]
    public void PlaintextBits_Cohorts_AreAsPublished(int cohort, int bits) => Assert.Equal(bits, PadRing.PlaintextBits(cohort));

    [Theory]
    [InlineData(256)]
    [InlineData(512)]
    public void Kernel_EveryWidth_EqualsTheScalarTwin(int width)
    {
        PadKernel kernel = Kernel(width), plain = new ScalarPadKernel();
        Gen.Select(s_residues, s_residues, Gen.Long[-100, 100].Array[PadRing.Degree], Gen.ULong.Array[PadRing.Degree], Gen.Int[8, 13]).Sample((expanded, secret, errors, sums, shift) =>
        {
            ulong largest = PadRing.LargestSum(PadRing.Bits - shift);
            ulong[] messages = [.. sums.Select((value, i) => i % 7 == 0 ? largest : value % (largest + 1))];
            Assert.Equal(Words(plain), Words(kernel));
            (ulong[] expected, double squares) = Opened(plain);
            (ulong[] actual, double sum) = Opened(kernel);
            Assert.Equal(expected, actual);
            Assert.Equal(squares, sum);

            ulong[] Cells(PadKernel k)
            {
                ulong[] prepared = new ulong[PadRing.Degree], cells = new ulong[PadRing.Degree];
                k.Prepare(secret, prepared);
                k.Multiply(expanded, prepared, cells);
                return cells;
            }

            ulong[] Words(PadKernel k)
            {
                ulong[] words = new ulong[PadRing.Degree];
                k.Encrypt(Cells(k), errors, messages, shift, words);
                return words;
            }

            (ulong[], double) Opened(PadKernel k)
            {
                ulong[] opened = new ulong[PadRing.Degree];
                double squared = k.Decrypt(Cells(k), sums, shift, opened);
                return (opened, squared);
            }
        }, iter: 100, threads: 1);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(256)]
    [InlineData(512)]
    public void Packing_EveryWidth_IsTheDefinitionAndBack(int width)
    {
        VectorWidth kind = Kernel(width).Width;
        Gen.Select(s_residues, Gen.ULong.Array[PadRing.Degree]).Sample((words, sums) =>
        {
            byte[] block = new byte[PadRing.BlockBytes];
            PadPacking.Pack(words, block, kind);
            BigInteger bits = new(block, isUnsigned: true);
            for (int i = 0; i < PadRing.Degree; i += 97) Assert.Equal(words[i], (ulong)((bits >> (46 * i)) & ((1UL << 46) - 1)));
            ulong[] actual = [.. sums];
            Assert.True(PadPacking.Add(block, actual, kind));
            Assert.Equal([.. sums.Zip(words, (a, b) => unchecked(a + b))], actual);
        }, iter: 50, threads: 1);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(256)]
    [InlineData(512)]
    public void Add_AnyCoefficientNotBelowQ_IsRefused(int width)
    {
        VectorWidth kind = Kernel(width).Width;
        for (int i = 0; i < PadRing.Degree; i++)
        {
            ulong[] words = new ulong[PadRing.Degree];
            words[i] = PadRing.Modulus;
            byte[] block = new byte[PadRing.BlockBytes];
            PadPacking.PackScalar(words, block);
            Assert.False(PadPacking.Add(block, new ulong[PadRing.Degree], kind));
            words[i] = PadRing.Modulus - 1;
            PadPacking.PackScalar(words, block);
            Assert.True(PadPacking.Add(block, new ulong[PadRing.Degree], kind));
        }
    }

    [Fact]
    public void Expand_AnyBlock_IsAesInCounterModeMasked()
    {
        byte[] seed = SHA256.HashData("fed"u8);
        using Expansion expansion = new(seed);
        using CounterMode stream = new(seed.AsSpan(0, 16));
        ulong[] words = new ulong[PadRing.Degree];
        byte[] bytes = new byte[PadRing.Degree * 8];
        expansion.Fill(5, PadRing.Modulus, words);
        stream.Fill(5, 0, bytes);
        for (int i = 0; i < words.Length; i++) Assert.Equal(BitConverter.ToUInt64(bytes, 8 * i) & ((1UL << 46) - 1), words[i]);
    }

    [Fact] // a word that is not below q comes once in 6·10⁸: this block has one, found by search
    public void Expand_AWordNotBelowQ_IsReplacedByTheNextAfterTheBlock()
    {
        using Expansion expansion = new(new byte[32]);
        using CounterMode stream = new(new byte[16]);
        byte[] bytes = new byte[(PadRing.Degree + 2) * 8];
        stream.Fill(54740, 0, bytes);
        ulong[] words = new ulong[PadRing.Degree], masked = [.. Enumerable.Range(0, PadRing.Degree + 1).Select(i => BitConverter.ToUInt64(bytes, 8 * i) & ((1UL << 46) - 1))];
        Assert.True(masked[360] >= PadRing.Modulus);
        masked[360] = masked[PadRing.Degree];
        expansion.Fill(54740, PadRing.Modulus, words);
        Assert.Equal(masked[..PadRing.Degree], words);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(10)]
    [InlineData(100)]
    [InlineData(1000)]
    [InlineData(10_000)]
    public void Decrypt_SumsAtTheFieldsEdges_AreExact(int contributors)
    {
        int p = PadRing.PlaintextBits(contributors);
        ulong most = PadRing.LargestSum(p) / (ulong)contributors;
        byte[] seed = SHA256.HashData(BitConverter.GetBytes(contributors));
        using SecureRandom random = SecureRandom.WithKnownKey(seed);
        ulong[] sums = new ulong[PadRing.Degree], expected = new ulong[PadRing.Degree], messages = new ulong[PadRing.Degree], opened = new ulong[PadRing.Degree];
        long[] secrets = new long[PadRing.Degree];
        byte[] block = new byte[PadRing.BlockBytes];
        for (int site = 0; site < contributors; site++)
        {
            for (int i = 0; i < messages.Length; i++)
            {
                messages[i] = (i % 3) switch { 0 => 0, 1 => most, _ => random.NextUInt64() % (most + 1) };
                expected[i] += messages[i];
            }

            using PadSecret secret = new(random);
            using PadEncryptor encryptor = new(seed, secret, p, 1);
            using PadEncryptor.Worker worker = encryptor.CreateWorker();
            worker.Encrypt(0, messages, block);
            Assert.True(PadSum.Add(block, sums));
            for (int i = 0; i < secrets.Length; i++) secrets[i] += secret.Values[i];
        }

        using PadSum sum = new(seed, secrets, p, contributors);
        using PadSum.Worker opener = sum.CreateWorker();
        opener.Decrypt(0, sums, opened);
        Assert.Equal(expected, opened);
        Assert.Throws<PadResidualException>(() => opener.Decrypt(1, sums, opened)); // another block's pad
        secrets[7]++;
        using PadSum wrong = new(seed, secrets, p, contributors);
        using PadSum.Worker wrongOpener = wrong.CreateWorker();
        Assert.Throws<PadResidualException>(() => wrongOpener.Decrypt(0, sums, opened));
    }

    [Theory] // the interval next to q, and sums whose noise is below zero
    [InlineData(0)]
    [InlineData(256)]
    [InlineData(512)]
    public void Decrypt_PhasesNextToZeroAndQ_ReadAsZeroInEveryWidth(int width)
    {
        PadKernel kernel = Kernel(width);
        const int Shift = 9;
        ulong[] cells = new ulong[PadRing.Degree], sums = new ulong[PadRing.Degree], opened = new ulong[PadRing.Degree];
        long[] noise = [.. Enumerable.Range(0, PadRing.Degree).Select(i => (long)(i % 512) - 256 + (i % 512 == 0 ? 1 : 0))];
        for (int i = 0; i < sums.Length; i++) sums[i] = PadRing.Transform.Modulus.FromSigned(noise[i]) + (i % 3 == 0 ? PadRing.Modulus : 0);
        double squares = kernel.Decrypt(cells, sums, Shift, opened);
        Assert.All(opened, value => Assert.Equal(0UL, value));
        Assert.Equal(noise.Sum(value => (double)value * value), squares);
    }

    [Fact] // five declared, fourteen added: the noise says so, since its mean square is 2.8 times what five would give
    public void Decrypt_MoreContributionsThanDeclared_IsSeen()
    {
        byte[] seed = new byte[32], block = new byte[PadRing.BlockBytes];
        using SecureRandom random = new();
        ulong[] sums = new ulong[PadRing.Degree], messages = new ulong[PadRing.Degree];
        long[] secrets = new long[PadRing.Degree];
        for (int site = 0; site < 14; site++)
        {
            using PadSecret secret = new(random);
            using PadEncryptor encryptor = new(seed, secret, 37, 1);
            using PadEncryptor.Worker worker = encryptor.CreateWorker();
            worker.Encrypt(0, messages, block);
            PadSum.Add(block, sums);
            for (int i = 0; i < secrets.Length; i++) secrets[i] += secret.Values[i];
        }

        foreach ((int declared, bool holds) in new[] { (14, true), (10, false), (5, false) })
        {
            using PadSum sum = new(seed, secrets, 37, declared);
            using PadSum.Worker opener = sum.CreateWorker();
            if (holds) opener.Decrypt(0, sums, messages);
            else Assert.Throws<PadResidualException>(() => opener.Decrypt(0, sums, messages));
        }
    }

    [Fact]
    public void PadSum_MoreThanThePlaintextLeavesRoomFor_IsRefused()
    {
        long[] secrets = new long[PadRing.Degree];
        Assert.Contains("leaves 1 to 36 bits", Assert.Throws<ArgumentOutOfRangeException>(() => new PadSum(new byte[32], secrets, 38, 63)).Message, StringComparison.Ordinal);
        foreach (int bits in (int[])[-20, 0, 40, 46, 100]) Assert.Throws<ArgumentOutOfRangeException>(() => new PadSum(new byte[32], secrets, bits, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new PadSum(new byte[32], secrets, 20, PadRing.MostContributions + 1));
        secrets[3] = long.MinValue;
        Assert.Throws<ArgumentOutOfRangeException>(() => new PadSum(new byte[32], secrets, 38, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => PadRing.LargestSum(46));
    }

    [Fact]
    public void IsBlock_ACoefficientNotBelowQ_IsSeenWithoutAdding()
    {
        byte[] block = new byte[PadRing.BlockBytes];
        Assert.True(PadSum.IsBlock(block));
        block.AsSpan(60, 12).Fill(0xff);
        Assert.False(PadSum.IsBlock(block));
    }

    [Fact]
    public void Encrypt_AResultOfTheWrongSize_LeavesTheBlockFree()
    {
        using SecureRandom random = new();
        using PadSecret secret = new(random);
        using PadEncryptor encryptor = new(new byte[32], secret, 37, 1);
        using PadEncryptor.Worker worker = encryptor.CreateWorker();
        ulong[] messages = new ulong[PadRing.Degree];
        Assert.Throws<ArgumentOutOfRangeException>(() => worker.Encrypt(0, messages, new byte[PadRing.BlockBytes - 1]));
        messages[9] = PadRing.LargestSum(37) + 1;
        Assert.Contains("Value 9 of block 0", Assert.Throws<ArgumentOutOfRangeException>(() => worker.Encrypt(0, messages, new byte[PadRing.BlockBytes])).Message, StringComparison.Ordinal);
        messages[9] = 0;
        worker.Encrypt(0, messages, new byte[PadRing.BlockBytes]);
    }

    [Fact]
    public void Encrypt_ASecretOrABlockTwice_IsRefused()
    {
        byte[] seed = new byte[32], block = new byte[PadRing.BlockBytes];
        using SecureRandom random = new();
        using PadSecret secret = new(random);
        using PadEncryptor encryptor = new(seed, secret, 37, 2);
        using PadEncryptor.Worker worker = encryptor.CreateWorker();
        ulong[] messages = new ulong[PadRing.Degree];
        worker.Encrypt(1, messages, block);
        Assert.Throws<InvalidOperationException>(() => worker.Encrypt(1, messages, block));
        Assert.Throws<ArgumentOutOfRangeException>(() => worker.Encrypt(2, messages, block));
        Assert.Throws<InvalidOperationException>(() => new PadEncryptor(seed, secret, 37, 2));
        messages[9] = PadRing.LargestSum(37) + 1;
        Assert.Throws<ArgumentOutOfRangeException>(() => worker.Encrypt(0, messages, block));
    }

    [Fact] // a secret of zeros would send the message in the clear
    public void Encrypt_AfterTheSecretIsWiped_IsRefused()
    {
        using SecureRandom random = new();
        PadSecret secret = new(random), other = new(random);
        secret.Dispose();
        Assert.Throws<ObjectDisposedException>(() => new PadEncryptor(new byte[32], secret, 37, 1));
        Assert.Throws<ObjectDisposedException>(() => secret.ToPlaintext(BfvParameters.ForKeys, [], 3));
        PadEncryptor encryptor = new(new byte[32], other, 37, 1);
        using PadEncryptor.Worker worker = encryptor.CreateWorker();
        encryptor.Dispose();
        Assert.Throws<ObjectDisposedException>(() => worker.Encrypt(0, new ulong[PadRing.Degree], new byte[PadRing.BlockBytes]));
        other.Dispose();
    }

    private static PadKernel Kernel(int width)
    {
        VectorWidth kind = (VectorWidth)width;
        Assert.SkipUnless(kind == VectorWidth.None || (kind == VectorWidth.Bits512 ? Lanes512.IsSupported : Lanes256.IsSupported), $"This processor (or DOTNET_EnableAVX…) has no {kind}.");
        return PadKernel.Create(kind);
    }
}
