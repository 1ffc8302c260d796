using System.Collections.Concurrent;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Federation.Privacy.Homomorphic;

/// <summary>
/// R_q = Z_q[X]/(X^N + 1) with q = q₀·…·q_{L−1}, an element as its residues modulo each prime: L·N words, prime after prime, coefficients from the lowest.
/// All operations work in place, take canonical residues and give canonical residues; their time does not depend on the values.
/// </summary>
/// <remarks>Residue number system: Bajard, Eynard, Hasan, Zucca 2016.</remarks>
public sealed class RnsRing
{
    private const int Kept = 64;

    // Weak: parameters may come from the network, and their tables must go with them.
    private static readonly ConcurrentDictionary<(int Degree, ulong Prime), WeakReference<NegacyclicTransform>> s_transforms = [];

    private readonly Lazy<NegacyclicTransform>[] _transforms; // at first use: parameters may come from the network
    private (BigInteger Others, ulong Inverse)[]? _lifts;

    /// <param name="degree">N, a power of two from 16 to 2¹⁷.</param>
    /// <param name="primes">Distinct primes of at most 60 bits, each 1 more than a multiple of 2N.</param>
    /// <exception cref="ArgumentException">A prime or the degree does not fit.</exception>
    public RnsRing(int degree, IReadOnlyList<ulong> primes)
    {
        NegacyclicTransform.CheckDegree(degree);
        if (primes.Count == 0) throw new ArgumentException("A ring needs a prime.", nameof(primes));
        if (primes.Distinct().Count() != primes.Count) throw new ArgumentException("The primes must differ from each other.", nameof(primes));
        foreach (ulong prime in primes)
        {
            if (prime < 2 || prime >> Modulus.LargestBits != 0 || (prime - 1) % (2 * (ulong)degree) != 0) throw new ArgumentException($"The prime {prime} must have at most {Modulus.LargestBits} bits and be 1 more than a multiple of {2 * degree}.", nameof(primes));
        }

        Degree = degree;
        Moduli = [.. primes.Select(prime => new Modulus(prime))];
        if (Moduli.FirstOrDefault(modulus => !modulus.IsPrime()) is { Value: not 0 } composite) throw new ArgumentException($"The modulus {composite.Value} is not prime.", nameof(primes));
        _transforms = [.. primes.Select(prime => new Lazy<NegacyclicTransform>(() => Transform(degree, prime)))];
        Product = primes.Aggregate(BigInteger.One, (product, prime) => product * prime);
    }

    private RnsRing(RnsRing ring, int primes)
    {
        Degree = ring.Degree;
        _transforms = ring._transforms[..primes];
        Moduli = [.. ring.Moduli.Take(primes)];
        Product = Moduli.Aggregate(BigInteger.One, (product, prime) => product * prime.Value);
    }

    /// <summary>N.</summary>
    public int Degree { get; }

    public IReadOnlyList<Modulus> Moduli { get; }

    /// <summary>L·N.</summary>
    public int Words => _transforms.Length * Degree;

    /// <summary>q.</summary>
    public BigInteger Product { get; }

    /// <summary>The ring of the first primes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There are not 1 to L of them.</exception>
    public RnsRing First(int primes)
    {
        if (primes < 1 || primes > _transforms.Length) throw new ArgumentOutOfRangeException(nameof(primes), primes, $"This ring has 1 to {_transforms.Length} primes.");
        return primes == _transforms.Length ? this : new(this, primes);
    }

    /// <summary>Coefficients to values at the roots, <see cref="NegacyclicTransform"/>'s order, prime by prime.</summary>
    public void Forward(Span<ulong> element)
    {
        Checked(element);
        for (int i = 0; i < _transforms.Length; i++) _transforms[i].Value.Forward(element.Slice(i * Degree, Degree));
    }

    /// <summary>Values at the roots to coefficients.</summary>
    public void Inverse(Span<ulong> element)
    {
        Checked(element);
        for (int i = 0; i < _transforms.Length; i++) _transforms[i].Value.Inverse(element.Slice(i * Degree, Degree));
    }

    /// <summary>sum ← sum + addend.</summary>
    public void Add(Span<ulong> sum, ReadOnlySpan<ulong> addend) => Add(sum, addend, sum);

    /// <summary>sum ← a + b; sum may be one of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(ReadOnlySpan<ulong> a, ReadOnlySpan<ulong> b, Span<ulong> sum)
    {
        Checked(a);
        Checked(b);
        Checked(sum);
        for (int i = 0; i < _transforms.Length; i++)
        {
            ReadOnlySpan<ulong> x = a.Slice(i * Degree, Degree), y = b.Slice(i * Degree, Degree);
            Span<ulong> result = sum.Slice(i * Degree, Degree);
            Vector<ulong> q = new(Moduli[i].Value);
            for (int j = 0; j < result.Length; j += Vector<ulong>.Count)
            {
                Vector<ulong> value = new Vector<ulong>(x[j..]) + new Vector<ulong>(y[j..]);
                Vector.Min(value, value - q).CopyTo(result[j..]); // value − q wraps to a huge number where value < q
            }
        }
    }

    /// <summary>difference ← difference − subtrahend.</summary>
    public void Subtract(Span<ulong> difference, ReadOnlySpan<ulong> subtrahend) => Subtract(difference, subtrahend, difference);

    /// <summary>difference ← a − b; difference may be one of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Subtract(ReadOnlySpan<ulong> a, ReadOnlySpan<ulong> b, Span<ulong> difference)
    {
        Checked(a);
        Checked(b);
        Checked(difference);
        for (int i = 0; i < _transforms.Length; i++)
        {
            ReadOnlySpan<ulong> x = a.Slice(i * Degree, Degree), y = b.Slice(i * Degree, Degree);
            Span<ulong> result = difference.Slice(i * Degree, Degree);
            Vector<ulong> q = new(Moduli[i].Value);
            for (int j = 0; j < result.Length; j += Vector<ulong>.Count)
            {
                Vector<ulong> value = new Vector<ulong>(x[j..]) - new Vector<ulong>(y[j..]);
                Vector.Min(value, value + q).CopyTo(result[j..]); // a negative value is a huge number
            }
        }
    }

    /// <summary>element ← −element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Negate(Span<ulong> element)
    {
        Checked(element);
        for (int i = 0; i < _transforms.Length; i++)
        {
            Modulus q = Moduli[i];
            foreach (ref ulong value in element.Slice(i * Degree, Degree)) value = q.Negate(value);
        }
    }

    /// <summary>product ← product·factor place by place: of polynomials, if both are values at the roots.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Multiply(Span<ulong> product, ReadOnlySpan<ulong> factor)
    {
        Checked(product);
        Checked(factor);
        for (int i = 0; i < _transforms.Length; i++)
        {
            Modulus q = Moduli[i];
            Span<ulong> a = product.Slice(i * Degree, Degree);
            ReadOnlySpan<ulong> b = factor.Slice(i * Degree, Degree);
            for (int j = 0; j < a.Length; j++) a[j] = q.Multiply(a[j], b[j]);
        }
    }

    /// <summary>element ← element·factor, the factor an integer given modulo each prime.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Scale(Span<ulong> element, ReadOnlySpan<ulong> factors)
    {
        Checked(element);
        ArgumentOutOfRangeException.ThrowIfNotEqual(factors.Length, _transforms.Length, nameof(factors));
        for (int i = 0; i < _transforms.Length; i++)
        {
            Modulus q = Moduli[i];
            ulong factor = factors[i], quotient = q.Quotient(factor);
            foreach (ref ulong value in element.Slice(i * Degree, Degree)) value = q.MultiplyConstant(value, factor, quotient);
        }
    }

    /// <summary>Small signed coefficients as residues.</summary>
    /// <param name="coefficients">N of them, each above −2³¹ and smaller than every prime.</param>
    /// <param name="element">Overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void FromSigned(ReadOnlySpan<int> coefficients, Span<ulong> element)
    {
        Checked(element);
        ArgumentOutOfRangeException.ThrowIfNotEqual(coefficients.Length, Degree, nameof(coefficients));
        for (int i = 0; i < _transforms.Length; i++)
        {
            Modulus q = Moduli[i];
            Span<ulong> residues = element.Slice(i * Degree, Degree);
            for (int j = 0; j < residues.Length; j++) residues[j] = q.FromSigned(coefficients[j]);
        }
    }

    /// <summary>round(x/q_last) modulo the other primes: the element of the ring without the last prime.</summary>
    /// <param name="element">Coefficients; the first (L − 1)·N words become the result, the others are used up.</param>
    /// <remarks>Ties up, as SEAL rounds.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void DivideByLast(Span<ulong> element)
    {
        Checked(element);
        int last = _transforms.Length - 1;
        Modulus divisor = Moduli[last];
        Span<ulong> rest = element.Slice(last * Degree, Degree);
        ulong half = divisor.Value / 2;
        foreach (ref ulong value in rest) value = divisor.Add(value, half);
        for (int i = 0; i < last; i++)
        {
            Modulus q = Moduli[i];
            ulong inverse = q.Inverse(q.Reduce(divisor.Value)), quotient = q.Quotient(inverse), halfResidue = q.Reduce(half);
            Span<ulong> residues = element.Slice(i * Degree, Degree);
            for (int j = 0; j < residues.Length; j++) residues[j] = q.MultiplyConstant(q.Subtract(q.Add(residues[j], halfResidue), q.Reduce(rest[j])), inverse, quotient);
        }
    }

    /// <summary>An integer modulo each prime.</summary>
    public ulong[] Residues(BigInteger value) => [.. Moduli.Select(q => (ulong)(((value % q.Value) + q.Value) % q.Value))];

    /// <summary>One coefficient in [0, q), for tests and diagnosis: the time depends on it.</summary>
    public BigInteger Compose(ReadOnlySpan<ulong> element, int place)
    {
        // The product of the other primes, and its inverse: the same for every place.
        _lifts ??= [.. Moduli.Select(q => (Product / q.Value, q.Inverse((ulong)(Product / q.Value % q.Value))))];
        BigInteger sum = 0;
        for (int i = 0; i < _transforms.Length; i++) sum += _lifts[i].Others * Moduli[i].Multiply(element[(i * Degree) + place], _lifts[i].Inverse);
        return sum % Product;
    }

    /// <summary>Whether every word is below its prime.</summary>
    public bool IsCanonical(ReadOnlySpan<ulong> element)
    {
        if (element.Length != Words) return false;
        for (int i = 0; i < _transforms.Length; i++)
        {
            if (element.Slice(i * Degree, Degree).ContainsAnyExceptInRange(0UL, Moduli[i].Value - 1)) return false;
        }

        return true;
    }

    private static NegacyclicTransform Transform(int degree, ulong prime)
    {
        if (s_transforms.TryGetValue((degree, prime), out WeakReference<NegacyclicTransform>? kept) && kept.TryGetTarget(out NegacyclicTransform? transform)) return transform;
        transform = new NegacyclicTransform(degree, new Modulus(prime));
        if (s_transforms.Count >= Kept)
        {
            foreach (var entry in s_transforms)
            {
                if (!entry.Value.TryGetTarget(out _)) s_transforms.TryRemove(entry);
            }
        }

        s_transforms[(degree, prime)] = new(transform);
        return transform;
    }

    private void Checked(ReadOnlySpan<ulong> element)
    {
        if (element.Length != Words) throw new ArgumentException($"An element of this ring has {Words} words, not {element.Length}.", nameof(element));
    }
}
