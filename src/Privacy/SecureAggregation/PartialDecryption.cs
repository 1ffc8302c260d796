using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The arithmetic of opening a sum: d_i = λ_i(A)·share_i·c₁ + smudge_i + z_i, and Σd_i + c₀ = (q/t)·m + noise.</summary>
/// <remarks>Mouchet, Bertrand, Hubaux 2022, with zero shares on top: without them the ratios of Lagrange factors show the noise whatever the smudge is (docs/cryptography.md).</remarks>
internal static class PartialDecryption
{
    /// <summary>Of a smudge over the noise that it hides.</summary>
    public const int SmudgeBits = 64;

    /// <summary>Σ smudges and noise stay below this many bits; q/t has 90.</summary>
    public const int MostNoiseBits = 89;

    /// <summary>log₂ B: a bound of the noise of a sum of encryptions, 8·√(n·(2 + N·k·2/3)/12), rounded up to a power of two. That noise is the rounding of each contribution's switch from all primes to the data primes.</summary>
    /// <param name="contributions">n.</param>
    /// <param name="members">k: how many ternary secrets the key is the sum of.</param>
    public static int NoiseBits(int degree, int contributions, int members)
    {
        double bound = 8 * Math.Sqrt(contributions * (2 + (degree * members * 2.0 / 3)) / 12);
        int bits = 0;
        while (Math.ScaleB(1, bits) < bound) bits++;
        return bits;
    }

    /// <summary>Whether t·2⁶⁴·B + B &lt; 2⁸⁹, so that every opening decrypts.</summary>
    public static bool Fits(int noiseBits, int threshold) => (((BigInteger)threshold << SmudgeBits) + 1) << noiseBits < BigInteger.One << MostNoiseBits;

    /// <summary>λ·share·c₁, coefficients.</summary>
    /// <param name="share">Values at the roots.</param>
    /// <param name="second">c₁, coefficients.</param>
    public static void Multiply(RnsRing ring, ReadOnlySpan<ulong> lagrange, ReadOnlySpan<ulong> share, ReadOnlySpan<ulong> second, Span<ulong> result)
    {
        second.CopyTo(result);
        ring.Forward(result);
        ring.Multiply(result, share);
        ring.Scale(result, lagrange);
        ring.Inverse(result);
    }

    /// <summary>element ← element + smudge, each coefficient a whole number uniform in [−2⁶⁴·B, 2⁶⁴·B): 65 + log₂ B random bits less 2⁶⁴·B.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddSmudge(SecureRandom random, RnsRing ring, int noiseBits, Span<ulong> element)
    {
        ulong mask = (1UL << (noiseBits + 1)) - 1;
        using SecretWords drawn = new(2 * ring.Degree);
        Span<ulong> bits = drawn.Span;
        random.Fill(MemoryMarshal.AsBytes(bits));
        for (int i = 0; i < ring.Moduli.Count; i++)
        {
            Modulus q = ring.Moduli[i];
            ulong middle = (ulong)((BigInteger.One << (SmudgeBits + noiseBits)) % q.Value);
            Span<ulong> residues = element.Slice(i * ring.Degree, ring.Degree);
            for (int j = 0; j < residues.Length; j++) residues[j] = q.Add(residues[j], q.Subtract(q.Reduce(bits[2 * j] & mask, bits[(2 * j) + 1]), middle));
        }
    }

    /// <summary>element ← element + z: Σ_{j ∈ A, j &gt; i} PRF(k_ij, ctx) − Σ_{j ∈ A, j &lt; i} PRF(k_ij, ctx). Over all of A these add up to zero; alone each is uniform.</summary>
    /// <param name="keys">k_ij by j.</param>
    public static void AddZeroShare(RnsRing ring, int index, IReadOnlyList<int> active, IReadOnlyDictionary<int, SecretMemory<byte>> keys, ReadOnlySpan<byte> context, Span<ulong> element)
    {
        using SecretWords mask = new(ring.Words);
        foreach (int other in active.Where(other => other != index))
        {
            Mask(ring, keys[other].Span, context, mask.Span);
            if (other > index) ring.Add(element, mask.Span);
            else ring.Subtract(element, mask.Span);
        }
    }

    /// <summary>PRF(k, ctx): uniform in the ring, AES-256 in counter mode under HMAC-SHA-256(k, ctx).</summary>
    private static void Mask(RnsRing ring, ReadOnlySpan<byte> key, ReadOnlySpan<byte> context, Span<ulong> mask)
    {
        Span<byte> derived = stackalloc byte[32];
        HMACSHA256.HashData(key, context, derived);
        using SecureRandom stream = SecureRandom.WithKnownKey(derived);
        RingSampler.Uniform(stream, ring, mask);
        CryptographicOperations.ZeroMemory(derived);
    }

    /// <summary>ctx: what a zero share belongs to, and to nothing else.</summary>
    /// <param name="setHash">U's hash.</param>
    public static byte[] Context(Opening opening, ReadOnlySpan<byte> certificateHash, ReadOnlySpan<byte> setHash, IReadOnlyList<int> active)
    {
        CanonicalWriter writer = new CanonicalWriter("zero-share").Field(opening.Encode()).Field(certificateHash).Field(setHash).Field((ulong)active.Count);
        foreach (int member in active.Order()) writer.Field((ulong)member);
        return writer.ToArray();
    }

    /// <summary>m from c₀ + Σd_i, if its noise is within what t smudges and the sum's own allow.</summary>
    /// <param name="phase">c₀ + Σd_i, coefficients.</param>
    /// <exception cref="ProtocolException">The noise is larger: a share, the epoch, the ciphertexts or the active set are not the same for all.</exception>
    public static Plaintext Open(BfvParameters parameters, ReadOnlySpan<ulong> phase, int noiseBits, int threshold)
    {
        RnsRing ring = parameters.DataRing;
        BigInteger bound = (((BigInteger)threshold << SmudgeBits) + 1) << noiseBits;
        ulong largest = (ulong)((bound * parameters.PlainModulus.Value << 64) / ring.Product) + (4 * (ulong)ring.Moduli.Count) + 4;
        using SecretWords message = new(ring.Degree), fractions = new(ring.Degree);
        new MessageRounding(ring, parameters.PlainModulus).Round(phase, message.Span, fractions.Span);
        foreach (ulong fraction in fractions.Span)
        {
            // The fraction of t·x/q, plus one half.
            ulong distance = fraction >= 1UL << 63 ? fraction - (1UL << 63) : (1UL << 63) - fraction;
            if (distance > largest) throw new ProtocolException(Refusal.WrongSum, "The answers do not decrypt the sum: a share, the epoch, a ciphertext or the active set is not the same for all members.");
        }

        return new(parameters, message.Span);
    }
}
