using System.Numerics;
using CsCheck;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic;

public sealed class NegacyclicTransformTests
{
    private const ulong PadPrime = 70368744067073;

    [Theory] // from the published table of SEAL's roots
    [InlineData(0x7fffffd8001UL, 1734247217UL)]
    [InlineData(0x7fffffc8001UL, 304486499UL)]
    [InlineData(0xfffffffc001UL, 331339694UL)]
    [InlineData(0xffffff6c001UL, 9366611238UL)]
    public void Root_SealsPrimes_IsTheSmallest(ulong prime, ulong root) => Assert.Equal(root, new NegacyclicTransform(8192, new Modulus(prime)).Root);

    [Fact]
    public void ForwardScalar_ASmallRing_IsTheDefinition()
    {
        Modulus q = new(12289);
        NegacyclicTransform transform = new(32, q);
        ulong[] p = [.. Enumerable.Range(0, 32).Select(i => (ulong)(i * i * 7919) % q.Value)], values = [.. p];
        transform.ForwardScalar(values);
        for (int i = 0; i < 32; i++)
        {
            ulong point = q.Power(transform.Root, (ulong)((2 * NegacyclicTransform.Reversed(i, 5)) + 1)), expected = 0;
            for (int k = 31; k >= 0; k--) expected = q.Add(q.Multiply(expected, point), p[k]);
            Assert.Equal(expected, values[i]);
        }
    }

    [Fact]
    public void Transform_Product_IsNegacyclicConvolution()
    {
        Modulus q = new(PadPrime);
        NegacyclicTransform transform = new(2048, q);
        Random random = new(1);
        ulong[] a = [.. Enumerable.Range(0, 2048).Select(_ => (ulong)random.NextInt64((long)q.Value))], b = [.. a.Select(x => q.Reduce(x * 3 + 1))], expected = new ulong[2048];
        for (int i = 0; i < 2048; i++)
        {
            for (int j = 0; j < 2048; j++)
            {
                ulong product = q.Multiply(a[i], b[j]);
                int place = (i + j) % 2048;
                expected[place] = i + j < 2048 ? q.Add(expected[place], product) : q.Subtract(expected[place], product);
            }
        }

        transform.Forward(a);
        transform.Forward(b);
        ulong[] result = [.. a.Zip(b, q.Multiply)];
        transform.Inverse(result);
        Assert.Equal(expected, result);
    }

    [Theory]
    [InlineData(256)]
    [InlineData(512)]
    public void Transform_EveryWidth_EqualsTheScalarTwin(int width)
    {
        VectorWidth kind = (VectorWidth)width;
        Assert.SkipUnless(kind == VectorWidth.Bits512 ? Lanes512.IsSupported : Lanes256.IsSupported, $"This processor (or DOTNET_EnableAVX…) has no {kind}.");
        foreach (int degree in (int[])[16, 32, 64, 1024, 2048, 4096, 8192, 16384, 32768])
        {
            foreach (ulong prime in new[] { 20, 30, 40, 46, 47, 48, 49, 50 }.Select(bits => LargestPrime(bits, degree)).Append(SmallestPrimeOf50Bits(degree)))
            {
                NegacyclicTransform vectors = new(degree, new Modulus(prime), kind);
                Gen.Select(Gen.ULong[0, prime - 1].Array[degree], Gen.Int[0, 3]).Sample((random, shape) =>
                {
                    ulong[] values = shape switch
                    {
                        0 => [.. random.Select(_ => prime - 1)],
                        1 => [.. random.Select(v => v % 2 == 0 ? prime / 2 : (prime / 2) + 1)],
                        _ => random,
                    };
                    ulong[] expected = [.. values], forward = [.. values], inverse = [.. values], back = [.. values];
                    vectors.ForwardScalar(expected);
                    vectors.Forward(forward);
                    Assert.Equal(expected, forward);
                    vectors.Inverse(forward);
                    Assert.Equal(values, forward);
                    vectors.InverseScalar(back);
                    vectors.Inverse(inverse);
                    Assert.Equal(back, inverse);
                }, iter: 6, threads: 1);
            }
        }
    }

    [Fact]
    public void Modulus_Arithmetic_EqualsBigInteger() =>
        Gen.Select(Gen.ULong[2, (1UL << 61) - 1], Gen.ULong, Gen.ULong, Gen.ULong).Sample((value, a, b, any) =>
        {
            Modulus q = new(value);
            (a, b) = (a % value, b % value);
            Assert.Equal((ulong)((BigInteger)a * b % value), q.Multiply(a, b));
            Assert.Equal((ulong)((BigInteger)any * b % value), q.MultiplyConstant(any, b, q.Quotient(b)));
            Assert.Equal((ulong)(((BigInteger)a + b) % value), q.Add(a, b));
            Assert.Equal((ulong)(((BigInteger)a + value - b) % value), q.Subtract(a, b));
            Assert.Equal((ulong)((value - (BigInteger)a) % value), q.Negate(a));
            Assert.Equal((ulong)((((BigInteger)a << 64) + any) % value), q.Reduce(a, any));
        });

    [Fact]
    public void IsPrime_KnownNumbers_AreRight()
    {
        Assert.True(new Modulus(PadPrime).IsPrime());
        Assert.True(new Modulus((1UL << 61) - 1).IsPrime()); // Mersenne
        Assert.False(new Modulus(3215031751).IsPrime()); // strong pseudoprime to 2, 3, 5, 7
        Assert.False(new Modulus((1UL << 60) - 2).IsPrime());
        Assert.True(new Modulus(2).IsPrime());
    }

    private static ulong LargestPrime(int bits, int degree)
    {
        ulong step = 2 * (ulong)degree, candidate = (1UL << bits) - step + 1;
        while (!new Modulus(candidate).IsPrime()) candidate -= step;
        return candidate;
    }

    private static ulong SmallestPrimeOf50Bits(int degree)
    {
        ulong step = 2 * (ulong)degree, candidate = (1UL << 49) + 1;
        while (!new Modulus(candidate).IsPrime()) candidate += step;
        return candidate;
    }
}
