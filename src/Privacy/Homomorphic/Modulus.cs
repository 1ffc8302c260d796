using System.Numerics;
using System.Runtime.CompilerServices;

namespace Federation.Privacy.Homomorphic;

/// <summary>A modulus q in [2, 2⁶¹) and arithmetic on residues in [0, q), without branches or table indices that depend on them.</summary>
/// <remarks>Barrett 1986 for products of two unknowns; Shoup's precomputed quotient (Harvey 2014, section 2) for products with a constant.</remarks>
public sealed class Modulus
{
    /// <summary>SEAL takes primes of up to 60 bits.</summary>
    public const int LargestBits = 60;

    private readonly ulong _ratioHigh, _ratioLow; // ⌊2¹²⁸/q⌋

    /// <exception cref="ArgumentOutOfRangeException">q is below 2 or has more than 61 bits.</exception>
    public Modulus(ulong value)
    {
        if (value is < 2 or >= 1UL << 61) throw new ArgumentOutOfRangeException(nameof(value), value, "A modulus is in [2, 2^61).");
        Value = value;
        UInt128 ratio = UInt128.MaxValue / value;
        if (BitOperations.IsPow2(value)) ratio++; // else 2¹²⁸ − 1 and 2¹²⁸ have the same quotient
        (_ratioHigh, _ratioLow) = ((ulong)(ratio >> 64), unchecked((ulong)ratio));
    }

    public ulong Value { get; }

    public int Bits => 64 - BitOperations.LeadingZeroCount(Value);

    /// <summary>(a + b) mod q.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Add(ulong a, ulong b) => Fold(unchecked(a + b));

    /// <summary>(a − b) mod q.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Subtract(ulong a, ulong b) => Fold(unchecked(a + Value - b));

    /// <summary>−a mod q.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Negate(ulong a) => Fold(unchecked(Value - a));

    /// <summary>A number in (−q, q) as a residue.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong FromSigned(long value) => unchecked((ulong)value + (Value & (ulong)(value >> 63)));

    /// <summary>a·b mod q.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Multiply(ulong a, ulong b)
    {
        ulong high = Math.BigMul(a, b, out ulong low);
        return Reduce(high, low);
    }

    /// <summary>Any value mod q.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Reduce(ulong value) => Reduce(0, value);

    /// <summary>(high·2⁶⁴ + low) mod q, for values below q·2⁶⁴.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Reduce(ulong high, ulong low)
    {
        unchecked
        {
            return Fold(low - (LowerQuotient(high, low) * Value));
        }
    }

    /// <summary>⌊x·⌊2¹²⁸/q⌋/2¹²⁸⌋: the quotient or one less.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong LowerQuotient(ulong high, ulong low)
    {
        unchecked
        {
            ulong carry = Math.BigMul(low, _ratioLow, out _);
            UInt128 middle = Math.BigMul(low, _ratioHigh) + (UInt128)carry;
            UInt128 sum = Math.BigMul(high, _ratioLow) + (UInt128)(ulong)middle;
            return (high * _ratioHigh) + (ulong)(middle >> 64) + (ulong)(sum >> 64);
        }
    }

    /// <summary>⌊(high·2⁶⁴ + low)/q⌋ and the remainder, for values below q·2⁶⁴.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Divide(ulong high, ulong low, out ulong remainder)
    {
        unchecked
        {
            remainder = Reduce(high, low);
            ulong quotient = LowerQuotient(high, low), rest = low - remainder - (quotient * Value); // 0 or q
            return quotient + ((rest | (0 - rest)) >> 63);
        }
    }

    /// <summary>⌊value·2⁶⁴/q⌋ or one less, for value in [0, q).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Fraction(ulong value) => unchecked((value * _ratioHigh) + Math.BigMul(value, _ratioLow, out _));

    /// <summary>⌊constant·2⁶⁴/q⌋, for <see cref="MultiplyConstant"/>.</summary>
    public ulong Quotient(ulong constant) => (ulong)(((UInt128)constant << 64) / Value);

    /// <summary>a·constant mod q for any a; constant in [0, q) with its <see cref="Quotient"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong MultiplyConstant(ulong a, ulong constant, ulong quotient)
    {
        unchecked
        {
            return Fold((a * constant) - (Math.BigMul(a, quotient, out _) * Value));
        }
    }

    /// <summary>Base^exponent mod q; the time depends on the exponent, which is public.</summary>
    public ulong Power(ulong value, ulong exponent)
    {
        ulong result = Reduce(1);
        for (ulong square = Reduce(value); exponent > 0; exponent >>= 1, square = Multiply(square, square))
        {
            if ((exponent & 1) == 1) result = Multiply(result, square);
        }

        return result;
    }

    /// <summary>1/a mod q, for a prime q and a ≠ 0.</summary>
    public ulong Inverse(ulong a) => Power(a, Value - 2);

    /// <summary>Whether q is prime: Miller-Rabin with the first twelve primes, exact below 2⁶⁴ (Sorenson and Webster 2015).</summary>
    public bool IsPrime()
    {
        ulong[] bases = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
        if (bases.Contains(Value)) return true;
        if (bases.Any(p => Value % p == 0)) return false;
        int twos = BitOperations.TrailingZeroCount(Value - 1);
        return bases.All(witness =>
        {
            ulong x = Power(witness, (Value - 1) >> twos);
            bool passes = x == 1 || x == Value - 1;
            for (int i = 1; i < twos && !passes; i++) passes = (x = Multiply(x, x)) == Value - 1;
            return passes;
        });
    }

    /// <summary>The smallest primitive root of unity of this order, as SEAL takes it; the order is a power of two that divides q − 1, q prime.</summary>
    /// <exception cref="ArgumentException">The order is no power of two from 2 on, does not divide q − 1, or q is not prime.</exception>
    public ulong SmallestPrimitiveRoot(ulong order)
    {
        if (order < 2 || !BitOperations.IsPow2(order)) throw new ArgumentException($"An order is a power of two from 2 on, not {order}.", nameof(order));
        if ((Value - 1) % order != 0) throw new ArgumentException($"{Value} has no root of unity of order {order}: it must be 1 more than a multiple of {order}.", nameof(order));
        if (!IsPrime()) throw new ArgumentException($"{Value} is not prime.", nameof(order));
        ulong root = 0;
        for (ulong candidate = 2; root == 0; candidate++)
        {
            ulong power = Power(candidate, (Value - 1) / order);
            if (Power(power, order / 2) == Value - 1) root = power;
        }

        ulong step = Multiply(root, root), smallest = root;
        for (ulong i = 1; i < order / 2; i++) smallest = Math.Min(smallest, root = Multiply(root, step));
        return smallest;
    }

    /// <summary>value − q if that is not negative; value in [0, 2q].</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong Fold(ulong value)
    {
        unchecked
        {
            ulong less = value - Value;
            return less + (Value & (ulong)((long)less >> 63));
        }
    }
}
