using System.Numerics;
using System.Runtime.CompilerServices;

namespace Federation.Privacy.Homomorphic;

/// <summary>m → ⌊(q·m + ⌊(t + 1)/2⌋)/t⌋: where a message lies in a ciphertext.</summary>
/// <remarks>SEAL's rounding, computed as ⌊q/t⌋·m + ⌊((q mod t)·m + ⌊(t + 1)/2⌋)/t⌋: to the nearest, but for odd t the fraction (t − 1)/(2t), just below a half, also goes up.</remarks>
internal sealed class MessageScale
{
    private readonly Modulus[] _moduli;
    private readonly Modulus _t;
    private readonly ulong[] _steps, _stepQuotients; // ⌊q/t⌋ modulo each prime
    private readonly ulong _rest; // q mod t

    public MessageScale(RnsRing ring, Modulus plainModulus)
    {
        (_moduli, _t) = ([.. ring.Moduli], plainModulus);
        _steps = ring.Residues(ring.Product / plainModulus.Value);
        _stepQuotients = [.. _steps.Zip(ring.Moduli, (step, q) => q.Quotient(step))];
        _rest = (ulong)(ring.Product % plainModulus.Value);
    }

    /// <summary>element ← element + the scaled message.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void AddTo(Span<ulong> element, ReadOnlySpan<ulong> message)
    {
        ulong half = (_t.Value + 1) / 2;
        int degree = element.Length / _moduli.Length;
        for (int j = 0; j < message.Length; j++)
        {
            ulong high = Math.BigMul(message[j], _rest, out ulong low);
            ulong sum = unchecked(low + half);
            // The carry, without a branch: the top bit of (low & half) | ((low | half) & ~sum).
            high = unchecked(high + (((low & half) | ((low | half) & ~sum)) >> 63));
            ulong rounded = _t.Divide(high, sum, out _);
            for (int i = 0; i < _steps.Length; i++)
            {
                Modulus q = _moduli[i];
                ref ulong word = ref element[(i * degree) + j];
                word = q.Add(word, q.Add(q.MultiplyConstant(message[j], _steps[i], _stepQuotients[i]), q.Reduce(rounded)));
            }
        }
    }

    /// <summary>The plain twin, for one coefficient.</summary>
    internal static BigInteger Plain(BigInteger q, ulong t, ulong message) => ((q * message) + ((t + 1) / 2)) / t;
}

/// <summary>x → round(t·x/q) mod t: the message of a phase c₀ + c₁·s.</summary>
/// <remarks>
/// With yᵢ = xᵢ·(q/qᵢ)⁻¹ mod qᵢ, x = Σ yᵢ·q/qᵢ − v·q for an integer v, so t·x/q = Σ t·yᵢ/qᵢ modulo t: whole parts are added modulo t, fractions in units of 2⁻⁶⁴.
/// The sum of the fractions is at most 2·L·2⁻⁶⁴ too small, which matters only where the noise budget is spent.
/// </remarks>
internal sealed class MessageRounding
{
    private readonly Modulus[] _moduli;
    private readonly Modulus _t;
    private readonly ulong[] _inverses, _quotients;

    public MessageRounding(RnsRing ring, Modulus plainModulus)
    {
        (_moduli, _t) = ([.. ring.Moduli], plainModulus);
        _inverses = [.. ring.Moduli.Select(q => q.Inverse((ulong)(ring.Product / q.Value % q.Value)))];
        _quotients = [.. _inverses.Zip(ring.Moduli, (inverse, q) => q.Quotient(inverse))];
    }

    public void Round(ReadOnlySpan<ulong> phase, Span<ulong> message)
    {
        using SecretWords fractions = new(message.Length);
        Round(phase, message, fractions.Span);
    }

    /// <param name="phase">L·N words.</param>
    /// <param name="message">N values, overwritten.</param>
    /// <param name="fractions">½ plus the fractional part of t·x/q less its nearest integer, in units of 2⁻⁶⁴: how far the noise is from zero. Overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Round(ReadOnlySpan<ulong> phase, Span<ulong> message, Span<ulong> fractions)
    {
        int degree = phase.Length / _moduli.Length;
        for (int j = 0; j < message.Length; j++)
        {
            ulong whole = 0, fraction = 1UL << 63, carries = 0;
            for (int i = 0; i < _inverses.Length; i++)
            {
                Modulus q = _moduli[i];
                ulong y = q.MultiplyConstant(phase[(i * degree) + j], _inverses[i], _quotients[i]);
                ulong high = Math.BigMul(y, _t.Value, out ulong low);
                whole = _t.Add(whole, q.Divide(high, low, out ulong remainder));
                ulong part = q.Fraction(remainder), sum = unchecked(fraction + part);
                carries = unchecked(carries + (((fraction & part) | ((fraction | part) & ~sum)) >> 63));
                fraction = sum;
            }

            message[j] = _t.Add(whole, _t.Reduce(carries));
            fractions[j] = fraction;
        }
    }

    /// <summary>The plain twin, for one coefficient in [0, q).</summary>
    internal static ulong Plain(BigInteger q, ulong t, BigInteger phase) => (ulong)(((2 * t * phase) + q) / (2 * q) % t);
}
