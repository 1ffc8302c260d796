using System.Numerics;
using System.Runtime.CompilerServices;

namespace Federation.Privacy.Homomorphic;

/// <summary>
/// The negacyclic number-theoretic transform of Z_q[X]/(X^N + 1): output i of the forward transform is p(ψ^(2·rev(i)+1)), rev the reversal of log₂ N bits, ψ the smallest primitive 2N-th root of unity; SEAL's order.
/// In that order products of polynomials are products place by place. Primes below 2⁵⁰ go through <see cref="VectorTransform{TVector, TLanes}"/> where the processor has AVX-512 or AVX2, all others through the plain twin here.
/// </summary>
/// <remarks>Longa and Naehrig 2016, Algorithms 1 and 2, with Harvey's (2014) products by constants. Thread-safe; the time does not depend on the values.</remarks>
public sealed class NegacyclicTransform
{
    private readonly ulong[] _roots, _rootQuotients, _inverses, _inverseQuotients; // powers of ψ and 1/ψ, place i holds exponent rev(i)
    private readonly ulong _scale, _scaleQuotient; // 1/N
    private readonly IVectorTransform? _vectors;

    /// <param name="degree">N, a power of two from 16 to 2¹⁷.</param>
    /// <param name="modulus">A prime, 1 more than a multiple of 2N.</param>
    /// <exception cref="ArgumentException">The degree or the modulus does not fit.</exception>
    public NegacyclicTransform(int degree, Modulus modulus)
        : this(degree, modulus, VectorTransform.Best)
    {
    }

    internal NegacyclicTransform(int degree, Modulus modulus, VectorWidth width)
    {
        CheckDegree(degree);
        if (!modulus.IsPrime()) throw new ArgumentException($"The modulus {modulus.Value} is not prime.", nameof(modulus));
        (Degree, Modulus) = (degree, modulus);
        ulong root = modulus.SmallestPrimitiveRoot(2 * (ulong)degree);
        (_roots, _inverses) = (Powers(root), Powers(modulus.Inverse(root)));
        _rootQuotients = [.. _roots.Select(modulus.Quotient)];
        _inverseQuotients = [.. _inverses.Select(modulus.Quotient)];
        _scale = modulus.Inverse((ulong)degree);
        _scaleQuotient = modulus.Quotient(_scale);
        Root = root;
        if (modulus.Bits <= VectorTransform.LargestBits) _vectors = VectorTransform.Create(width, this);
    }

    /// <summary>N.</summary>
    public int Degree { get; }

    /// <summary>q.</summary>
    public Modulus Modulus { get; }

    /// <summary>ψ.</summary>
    public ulong Root { get; }

    /// <summary>1/N mod q.</summary>
    internal ulong Scale => _scale;

    internal ReadOnlySpan<ulong> Roots => _roots;

    internal ReadOnlySpan<ulong> Inverses => _inverses;

    /// <summary>Coefficients to values, in place.</summary>
    /// <param name="values">N residues in [0, q).</param>
    public void Forward(Span<ulong> values)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(values.Length, Degree, nameof(values));
        if (_vectors != null) _vectors.Forward(values);
        else ForwardScalar(values);
    }

    /// <summary>Values to coefficients, in place.</summary>
    /// <param name="values">N residues in [0, q).</param>
    public void Inverse(Span<ulong> values)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(values.Length, Degree, nameof(values));
        if (_vectors != null) _vectors.Inverse(values);
        else InverseScalar(values);
    }

    /// <summary>The plain twin.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal void ForwardScalar(Span<ulong> values)
    {
        Modulus q = Modulus;
        for (int groups = 1, half = Degree / 2; groups < Degree; groups *= 2, half /= 2)
        {
            for (int group = 0; group < groups; group++)
            {
                ulong root = _roots[groups + group], quotient = _rootQuotients[groups + group];
                Span<ulong> left = values.Slice(2 * group * half, half), right = values.Slice((2 * group * half) + half, half);
                for (int i = 0; i < left.Length; i++)
                {
                    ulong product = q.MultiplyConstant(right[i], root, quotient);
                    (left[i], right[i]) = (q.Add(left[i], product), q.Subtract(left[i], product));
                }
            }
        }
    }

    /// <summary>The plain twin.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal void InverseScalar(Span<ulong> values)
    {
        Modulus q = Modulus;
        for (int groups = Degree / 2, half = 1; groups >= 1; groups /= 2, half *= 2)
        {
            for (int group = 0; group < groups; group++)
            {
                ulong root = _inverses[groups + group], quotient = _inverseQuotients[groups + group];
                Span<ulong> left = values.Slice(2 * group * half, half), right = values.Slice((2 * group * half) + half, half);
                for (int i = 0; i < left.Length; i++) (left[i], right[i]) = (q.Add(left[i], right[i]), q.MultiplyConstant(q.Subtract(left[i], right[i]), root, quotient));
            }
        }

        foreach (ref ulong value in values) value = q.MultiplyConstant(value, _scale, _scaleQuotient);
    }

    private ulong[] Powers(ulong root)
    {
        ulong[] powers = new ulong[Degree];
        int bits = BitOperations.Log2((uint)Degree);
        ulong power = 1;
        for (int i = 0; i < Degree; i++, power = Modulus.Multiply(power, root)) powers[Reversed(i, bits)] = power;
        return powers;
    }

    /// <exception cref="ArgumentException">It does not fit.</exception>
    internal static void CheckDegree(int degree)
    {
        if (degree is < 16 or > 1 << 17 || !BitOperations.IsPow2(degree)) throw new ArgumentException($"A degree is a power of two from 16 to 131072, not {degree}.", nameof(degree));
    }

    internal static int Reversed(int value, int bits)
    {
        int reversed = 0;
        for (int i = 0; i < bits; i++) reversed |= ((value >> i) & 1) << (bits - 1 - i);
        return reversed;
    }
}
