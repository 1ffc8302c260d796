using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.Homomorphic;

internal static class BfvKeys
{
    /// <summary>A fresh ternary polynomial, values at the roots: a secret key, or the mask of an encryption.</summary>
    public static void Ternary(SecureRandom random, RnsRing ring, Span<ulong> result)
    {
        using SecretIntegers coefficients = new(ring.Degree);
        RingSampler.Ternary(random, coefficients.Span);
        ring.FromSigned(coefficients.Span, result);
        ring.Forward(result);
    }

    /// <summary>−(a·s + e) with a fresh error, all values at the roots.</summary>
    public static void PublicPart(SecureRandom random, RnsRing ring, ReadOnlySpan<ulong> secret, ReadOnlySpan<ulong> a, Span<ulong> result)
    {
        using SecretIntegers error = new(ring.Degree);
        using SecretWords noise = new(ring.Words), product = new(ring.Words);
        RingSampler.Binomial(random, error.Span);
        ring.FromSigned(error.Span, noise.Span);
        ring.Forward(noise.Span);
        a.CopyTo(product.Span);
        ring.Multiply(product.Span, secret); // a·s alone gives s away: it stays in memory that is wiped
        ring.Add(product.Span, noise.Span);
        ring.Negate(product.Span);
        product.Span.CopyTo(result);
    }
}
