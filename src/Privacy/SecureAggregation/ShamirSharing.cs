using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>t-of-k sharing of a ring element: a polynomial of degree t − 1 over R_q, coefficient by coefficient and prime by prime; member i holds its value at i. Any t values give the secret, t − 1 say nothing of it.</summary>
/// <remarks>Shamir 1979; for RLWE secrets: Mouchet, Bertrand, Hubaux 2022, section 3. Points 1 … k differ modulo every prime.</remarks>
internal sealed class ShamirSharing : IDisposable
{
    private readonly RnsRing _ring;
    private readonly SecretWords[] _coefficients; // the secret first

    /// <param name="secret">Of the ring, in either form; shares have the same.</param>
    public ShamirSharing(RnsRing ring, ReadOnlySpan<ulong> secret, int threshold, SecureRandom random)
    {
        _ring = ring;
        _coefficients = [.. Enumerable.Range(0, threshold).Select(_ => new SecretWords(ring.Words))];
        secret.CopyTo(_coefficients[0].Span);
        foreach (SecretWords coefficient in _coefficients.Skip(1)) RingSampler.Uniform(random, ring, coefficient.Span);
    }

    /// <summary>The polynomial at a point, by Horner's rule.</summary>
    public void Share(int point, Span<ulong> share)
    {
        ulong[] factors = _ring.Residues(point);
        _coefficients[^1].Span.CopyTo(share);
        for (int i = _coefficients.Length - 2; i >= 0; i--)
        {
            _ring.Scale(share, factors);
            _ring.Add(share, _coefficients[i].Span);
        }
    }

    /// <summary>λ_i(A) = Π_{j ∈ A, j ≠ i} j/(j − i) modulo each prime: Σ λ_i·share_i is the secret.</summary>
    public static ulong[] Lagrange(RnsRing ring, int point, IReadOnlyList<int> active) =>
    [
        .. ring.Moduli.Select(q =>
        {
            ulong factor = 1;
            foreach (int other in active.Where(other => other != point))
            {
                factor = q.Multiply(factor, q.Multiply((ulong)other, q.Inverse(other > point ? (ulong)(other - point) : q.Negate((ulong)(point - other)))));
            }

            return factor;
        }),
    ];

    public void Dispose()
    {
        foreach (SecretWords coefficient in _coefficients) coefficient.Dispose();
    }
}
