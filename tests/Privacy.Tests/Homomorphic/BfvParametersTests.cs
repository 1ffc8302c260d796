using System.Diagnostics;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic;

public sealed class BfvParametersTests
{
    [Theory]
    [InlineData(512, new ulong[] { 0x7e00001 }, 16UL, "degree")]
    [InlineData(-1024, new ulong[] { 0x7e00001 }, 16UL, "degree")]
    [InlineData(1024, new ulong[] { }, 16UL, "prime")]
    [InlineData(1024, new ulong[] { 0 }, 16UL, "prime")]
    [InlineData(1024, new ulong[] { 0x7e00003 }, 16UL, "multiple of 2048")]
    [InlineData(1024, new ulong[] { 0xffff001 }, 16UL, "28 bits")]
    [InlineData(1024, new ulong[] { 0x7e00001 }, 0UL, "[2, 2^60)")]
    [InlineData(1024, new ulong[] { 0x7e00001 }, 1UL, "[2, 2^60)")]
    [InlineData(1024, new ulong[] { 0x7e00001 }, 1UL << 60, "[2, 2^60)")]
    [InlineData(1024, new ulong[] { 0x7e00001 }, 0x7e00001UL, "below the product")]
    [InlineData(1024, new ulong[] { 0x7e00001 }, 1UL << 40, "below the product")]
    [InlineData(4096, new ulong[] { 0xffffee001, 0xffffc4001, 0x1ffffe0001 }, 3 * 0xffffee001UL, "factor in common")]
    [InlineData(4096, new ulong[] { 0xffffee001, 0xffffc4001, 0x1ffffe0001 }, 0x1ffffe0001UL, "factor in common")] // the special prime counts too
    public void Parameters_ThatDoNotFit_AreNamedErrors(int degree, ulong[] primes, ulong plainModulus, string named) =>
        Assert.Contains(named, Assert.ThrowsAny<ArgumentException>(() => new BfvParameters(degree, primes, plainModulus)).Message, StringComparison.Ordinal);

    [Fact] // issue 5: tables were built for every prime before the bits were counted
    public void Parameters_FarTooManyPrimes_AreRefusedAtOnce()
    {
        ulong[] primes = [.. Enumerable.Range(0, 100_000).Select(i => (ulong)i * 65536 + 1 + 65536)];
        long start = Stopwatch.GetTimestamp(), before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("881", Assert.Throws<ArgumentException>(() => new BfvParameters(32768, primes, 16)).Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 10_000_000);
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 5);
    }

    [Fact]
    public void Equality_IsOfAllParts()
    {
        BfvParameters set = BfvParameters.Default(4096, 65537);
        Assert.Equal(set, BfvParameters.Default(4096, 65537));
        Assert.Equal(set.GetHashCode(), BfvParameters.Default(4096, 65537).GetHashCode());
        Assert.NotEqual(set, BfvParameters.Default(4096, 257));
        Assert.NotEqual(set, BfvParameters.Default(8192, 65537));
        Assert.NotEqual(set, new BfvParameters(4096, [0xffffc4001, 0xffffee001, 0x1ffffe0001], 65537));
    }

    [Theory]
    [InlineData(4096, 109)]
    [InlineData(8192, 218)]
    [InlineData(16384, 438)]
    public void Default_Primes_UseWhatTheSecurityLimitAllows(int degree, int bits) => Assert.Equal(bits, BfvParameters.Default(degree, 65537).KeyRing.Product.GetBitLength());

    [Fact]
    public void Objects_WrongSizesOrValues_AreNamedErrors()
    {
        BfvParameters set = BfvSets.All["4096 default, t = 1032193"];
        int data = 2 * 2 * 4096, keys = 3 * 4096;
        ulong[] notCanonical = new ulong[data], badKey = new ulong[keys], badPublic = new ulong[2 * keys];
        notCanonical[4096] = set.Primes[1];
        badKey[^1] = set.Primes[2];
        badPublic[keys] = set.Primes[0];
        foreach (Func<object> action in (Func<object>[])
        [
            () => new Plaintext(set, new ulong[4097]), () => new Plaintext(set, [1032193]), () => new Ciphertext(set, 0, []), () => new Ciphertext(set, 3, new ulong[2 * keys]), () => new Ciphertext(set, 2, new ulong[data - 1]), () => new Ciphertext(set, 2, notCanonical),
            () => new PublicKey(set, new ulong[keys]), () => new PublicKey(set, badPublic), () => new SecretKey(set, new ulong[keys - 1]), () => new SecretKey(set, badKey),
        ])
        {
            Assert.ThrowsAny<ArgumentException>(action);
        }
    }
}
