using System.Numerics;
using CsCheck;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic;

public sealed class ModulusTests
{
    private static readonly Gen<ulong> s_moduli = Gen.OneOf(
        Gen.ULong[2, (1UL << 61) - 1],
        Gen.ULong[2, 100],
        Gen.Int[1, 60].Select(bits => 1UL << bits),
        Gen.Int[2, 60].Select(bits => (1UL << bits) - 1),
        Gen.Const((1UL << 61) - 1),
        Gen.Int[0, 5].Select(leaveOut => RingInputs.Prime(60, 8192, leaveOut)));

    [Fact] // any modulus; low words at their edges too
    public void Divide_BelowQTimes2To64_IsQuotientAndRemainder() =>
        Gen.Select(s_moduli, Gen.ULong, Gen.OneOf(Gen.ULong, Gen.Const(0UL), Gen.Const(ulong.MaxValue))).Sample((value, high, low) =>
        {
            Modulus q = new(value);
            foreach (ulong top in (ulong[])[high % value, 0, value - 1])
            {
                BigInteger dividend = ((BigInteger)top << 64) + low;
                Assert.Equal((ulong)(dividend / value), q.Divide(top, low, out ulong remainder));
                Assert.Equal((ulong)(dividend % value), remainder);
                Assert.Equal(remainder, q.Reduce(top, low));
            }
        }, iter: 20_000);

    [Fact] // where the quotient changes
    public void Divide_AtMultiples_IsExact() =>
        Gen.Select(s_moduli, Gen.ULong).Sample((value, multiple) =>
        {
            Modulus q = new(value);
            BigInteger product = (BigInteger)value * multiple;
            Assert.Equal(multiple, q.Divide((ulong)(product >> 64), (ulong)(product & ulong.MaxValue), out ulong remainder));
            Assert.Equal(0UL, remainder);
            product--;
            if (product < 0) return;
            Assert.Equal(multiple - 1, q.Divide((ulong)(product >> 64), (ulong)(product & ulong.MaxValue), out remainder));
            Assert.Equal(value - 1, remainder);
        }, iter: 20_000);

    [Fact]
    public void Fraction_BelowQ_IsTheFloorOrOneLess() =>
        Gen.Select(s_moduli, Gen.ULong).Sample((value, any) =>
        {
            Modulus q = new(value);
            foreach (ulong numerator in (ulong[])[any % value, 0, value - 1, value / 2])
            {
                BigInteger exact = ((BigInteger)numerator << 64) / value;
                Assert.InRange(exact - q.Fraction(numerator), 0, 1);
            }
        }, iter: 20_000);

    [Fact]
    public void Arithmetic_EdgeModuliAndValues_EqualsBigInteger() =>
        Gen.Select(s_moduli, Gen.ULong, Gen.ULong, Gen.ULong).Sample((value, x, y, any) =>
        {
            Modulus q = new(value);
            foreach ((ulong a, ulong b) in ((ulong, ulong)[])[(x % value, y % value), (0, 0), (0, value - 1), (value - 1, 0), (value - 1, value - 1), (value / 2, value - (value / 2) - 1)])
            {
                Assert.Equal((ulong)(((BigInteger)a + b) % value), q.Add(a, b));
                Assert.Equal((ulong)(((BigInteger)a + value - b) % value), q.Subtract(a, b));
                Assert.Equal((ulong)((value - (BigInteger)a) % value), q.Negate(a));
                Assert.Equal((ulong)((BigInteger)a * b % value), q.Multiply(a, b));
                foreach (ulong word in (ulong[])[any, ulong.MaxValue, 0]) Assert.Equal((ulong)((BigInteger)word * b % value), q.MultiplyConstant(word, b, q.Quotient(b)));
            }

            Assert.Equal(any % value, q.Reduce(any));
        }, iter: 20_000);

    [Theory]
    [InlineData(0UL)]
    [InlineData(1UL)]
    [InlineData(1UL << 61)]
    [InlineData(ulong.MaxValue)]
    public void Modulus_OutOfRange_IsRefused(ulong value) => Assert.Throws<ArgumentOutOfRangeException>(() => new Modulus(value));


    [Theory]
    [InlineData(17, 0)]
    [InlineData(17, 1)]
    [InlineData(13, 3)]
    [InlineData(65, 8)]
    [InlineData(17, 32)]
    public void SmallestPrimitiveRoot_AnOrderThatHasNone_IsRefused(ulong modulus, ulong order) => Assert.Throws<ArgumentException>(() => new Modulus(modulus).SmallestPrimitiveRoot(order));
}
