using System.Numerics;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic;

/// <summary>Every operation in residues against BigInteger, over one to nine primes of 20 to 60 bits.</summary>
public sealed class RnsRingTests
{
    private const int Degree = 64;

    public static TheoryData<int> Chains => [.. Enumerable.Range(0, RingInputs.Rings(16).Count())];

    [Theory]
    [MemberData(nameof(Chains))]
    public void Operations_PlaceByPlace_EqualBigInteger(int chain)
    {
        RnsRing ring = RingInputs.Rings(Degree).ElementAt(chain);
        BigInteger q = ring.Product;
        BigInteger[] a = [.. Enumerable.Range(0, Degree).Select(j => RingInputs.Value(j % 12, q))], b = [.. Enumerable.Range(0, Degree).Select(j => RingInputs.Value(j % 7, q))];
        ulong[] x = RingInputs.Element(ring, j => a[j]), y = RingInputs.Element(ring, j => b[j]);
        Assert.Equal(a, RingInputs.Composed(ring, x));
        Expect((BigInteger left, BigInteger right) => left + right, words => ring.Add(words, y));
        Expect((left, right) => left - right, words => ring.Subtract(words, y));
        Expect((left, right) => left * right, words => ring.Multiply(words, y));
        Expect((left, _) => -left, words => ring.Negate(words));
        foreach (BigInteger factor in (BigInteger[])[0, 1, -1, q - 1, -(BigInteger.One << 59), RingInputs.Random(q)]) Expect((left, _) => left * factor, words => ring.Scale(words, ring.Residues(factor)));

        void Expect(Func<BigInteger, BigInteger, BigInteger> expected, Action<ulong[]> operation)
        {
            ulong[] words = [.. x];
            operation(words);
            Assert.True(ring.IsCanonical(words));
            Assert.Equal(a.Zip(b, expected).Select(value => ((value % q) + q) % q), RingInputs.Composed(ring, words));
        }
    }

    [Theory]
    [MemberData(nameof(Chains))]
    public void DivideByLast_AnyElement_IsTheNearestInteger(int chain)
    {
        RnsRing ring = RingInputs.Rings(Degree).ElementAt(chain);
        if (ring.Moduli.Count == 1) return; // nothing would be left
        RnsRing less = ring.First(ring.Moduli.Count - 1);
        BigInteger last = ring.Moduli[^1].Value;
        // Around the borders (k + ½)·last too; the last of them wraps to zero.
        BigInteger[] values = [.. Enumerable.Range(0, Degree).Select(j => j % 4 == 3 ? ((RingInputs.Value(j % 7, less.Product) * last) + (last / 2) + (j / 8 % 3) - 1) % ring.Product : RingInputs.Value(j, ring.Product))];
        ulong[] element = RingInputs.Element(ring, j => values[j]);
        ring.DivideByLast(element);
        Assert.Equal(values.Select(value => ((2 * value) + last) / (2 * last) % less.Product), RingInputs.Composed(less, element.AsSpan(0, less.Words)));
    }

    [Theory]
    [MemberData(nameof(Chains))]
    public void FromSigned_SmallIntegers_AreTheirResidues(int chain)
    {
        RnsRing ring = RingInputs.Rings(Degree).ElementAt(chain);
        int[] values = [.. Enumerable.Range(-Degree / 2, Degree)];
        ulong[] element = new ulong[ring.Words];
        ring.FromSigned(values, element);
        Assert.Equal(values.Select(value => (value + ring.Product) % ring.Product), RingInputs.Composed(ring, element));
    }

    [Theory]
    [MemberData(nameof(Chains))]
    public void Multiply_AtTheRoots_IsNegacyclicConvolution(int chain)
    {
        RnsRing ring = RingInputs.Rings(Degree).ElementAt(chain);
        BigInteger[] a = [.. Enumerable.Range(0, Degree).Select(j => RingInputs.Value(j, ring.Product))], b = [.. a.Reverse()], expected = new BigInteger[Degree];
        for (int i = 0; i < Degree; i++)
        {
            for (int j = 0; j < Degree; j++) expected[(i + j) % Degree] += i + j < Degree ? a[i] * b[j] : -a[i] * b[j];
        }

        ulong[] x = RingInputs.Element(ring, j => a[j]), y = RingInputs.Element(ring, j => b[j]);
        ring.Forward(x);
        ring.Forward(y);
        ring.Multiply(x, y);
        ring.Inverse(x);
        Assert.Equal(expected.Select(value => ((value % ring.Product) + ring.Product) % ring.Product), RingInputs.Composed(ring, x));
    }

    [Theory] // issue 5: a prime of 0 and a negative degree were overflows of checked arithmetic
    [InlineData(64, new ulong[] { })]
    [InlineData(64, new ulong[] { 0 })]
    [InlineData(64, new ulong[] { 1 })]
    [InlineData(64, new ulong[] { 129 })]
    [InlineData(64, new ulong[] { 257, 257 })]
    [InlineData(64, new ulong[] { 131 })]
    [InlineData(64, new[] { ulong.MaxValue })]
    [InlineData(64, new[] { (1UL << 60) + 1 })]
    [InlineData(-64, new ulong[] { 257 })]
    [InlineData(0, new ulong[] { 257 })]
    [InlineData(48, new ulong[] { 97 })]
    [InlineData(int.MinValue, new ulong[] { 257 })]
    public void Ring_WrongPrimesOrDegree_AreNamedErrors(int degree, ulong[] primes) => Assert.ThrowsAny<ArgumentException>(() => new RnsRing(degree, primes));

    [Fact]
    public void Operations_WrongLengths_AreNamedErrors()
    {
        RnsRing ring = new(16, [97, 193]);
        ulong[] right = new ulong[32], wrong = new ulong[31];
        foreach (Action action in (Action[])[() => ring.Add(right, wrong), () => ring.Add(wrong, right), () => ring.Subtract(right, wrong), () => ring.Multiply(right, wrong), () => ring.Negate(wrong), () => ring.Forward(wrong), () => ring.Inverse(wrong), () => ring.DivideByLast(wrong), () => ring.FromSigned(new int[15], right), () => ring.Scale(right, [1])])
        {
            Assert.ThrowsAny<ArgumentException>(action);
        }

        Assert.False(ring.IsCanonical(wrong));
        right[16] = 193;
        Assert.False(ring.IsCanonical(right));
    }

    [Fact] // issue 5: the tables of every prime ever seen were kept for good
    public void Ring_NoLongerUsed_IsCollected()
    {
        WeakReference table = Table();
        for (int i = 0; i < 10 && table.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(table.IsAlive);
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static WeakReference Table() => new(new RnsRing(256, [RingInputs.Prime(37, 256)]).Moduli[0]);
}
