using System.Numerics;

namespace Federation.Server.Aggregation;

/// <summary>
/// Sums of float32 values without rounding, one for each coordinate: a fixed-point number wide enough for the whole range of the type, so the order of the addends cannot matter.
/// </summary>
/// <remarks>Kulisch's long accumulator. A finite float32 is m·2^(p−149), |m| &lt; 2^24, p in [0, 253]; 320 bits hold 2^42 of them.</remarks>
public sealed class ExactSum
{
    private const int Limbs = 5, LowestExponent = -149;
    private readonly ulong[] _limbs; // two's complement, least significant first, Limbs for each coordinate

    /// <param name="count">Coordinates.</param>
    public ExactSum(int count) => _limbs = new ulong[checked(count * Limbs)];

    public void Clear() => Array.Clear(_limbs);

    /// <summary>sum[i] += values[i].</summary>
    /// <exception cref="ArgumentException">There are more values than coordinates, or one is not finite.</exception>
    public void Add(ReadOnlySpan<float> values)
    {
        if (values.Length * Limbs > _limbs.Length) throw new ArgumentException($"{values.Length} values do not fit {_limbs.Length / Limbs} coordinates.");
        for (int i = 0; i < values.Length; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(values[i]);
            int exponent = (int)(bits >> 23) & 0xff;
            if (exponent == 0xff) throw new ArgumentException($"Value {i} is {values[i]}; only finite values can be summed.");
            ulong mantissa = bits & 0x7fffff;
            int position = 0;
            if (exponent != 0) (mantissa, position) = (mantissa | 0x800000, exponent - 1);
            Span<ulong> sum = _limbs.AsSpan(i * Limbs, Limbs);
            if ((bits & 0x80000000) == 0) AddShifted(sum, mantissa, position);
            else SubtractShifted(sum, mantissa, position);
        }
    }

    /// <summary>The sum at a coordinate, rounded once to the nearest double (ties to even).</summary>
    public double ToDouble(int index)
    {
        Span<ulong> magnitude = stackalloc ulong[Limbs];
        _limbs.AsSpan(index * Limbs, Limbs).CopyTo(magnitude);
        bool negative = magnitude[Limbs - 1] >> 63 == 1;
        if (negative) Negate(magnitude);
        int top = Limbs - 1;
        while (top >= 0 && magnitude[top] == 0) top--;
        if (top < 0) return 0;

        // The 64 highest bits, with everything below folded into the lowest: rounding from 64 to 53 bits then sees a tie only where there is one.
        int shift = BitOperations.LeadingZeroCount(magnitude[top]);
        ulong high = magnitude[top] << shift;
        ulong rest = 0;
        if (top > 0)
        {
            if (shift > 0) high |= magnitude[top - 1] >> (64 - shift);
            rest = shift > 0 ? magnitude[top - 1] << shift : magnitude[top - 1];
            for (int i = 0; i < top - 1; i++) rest |= magnitude[i];
        }

        if (rest != 0) high |= 1;
        double value = Math.ScaleB((double)high, (top * 64) - shift + LowestExponent);
        return negative ? -value : value;
    }

    /// <summary>The plain twin: the same sum by arbitrary-precision integers, in units of 2^-149.</summary>
    internal static BigInteger SumPlain(IEnumerable<float> values)
    {
        BigInteger sum = 0;
        foreach (float value in values)
        {
            uint bits = BitConverter.SingleToUInt32Bits(value);
            int exponent = (int)(bits >> 23) & 0xff;
            BigInteger mantissa = bits & 0x7fffff;
            if (exponent != 0) mantissa = (mantissa + 0x800000) << (exponent - 1);
            sum += (bits & 0x80000000) == 0 ? mantissa : -mantissa;
        }

        return sum;
    }

    /// <summary>The exact value at a coordinate, in units of 2^-149.</summary>
    internal BigInteger ToInteger(int index)
    {
        byte[] bytes = new byte[Limbs * 8];
        Buffer.BlockCopy(_limbs, index * bytes.Length, bytes, 0, bytes.Length);
        return new BigInteger(bytes);
    }

    private static void AddShifted(Span<ulong> sum, ulong mantissa, int position)
    {
        unchecked
        {
            int limb = position >> 6, shift = position & 63;
            ulong low = mantissa << shift, high = shift > 40 ? mantissa >> (64 - shift) : 0;
            ulong carry = (sum[limb] += low) < low ? 1UL : 0;
            for (int i = limb + 1; i < Limbs && (high | carry) != 0; i++)
            {
                ulong addend = high + carry; // high < 2^24: no overflow
                carry = (sum[i] += addend) < addend ? 1UL : 0;
                high = 0;
            }
        }
    }

    private static void SubtractShifted(Span<ulong> sum, ulong mantissa, int position)
    {
        unchecked
        {
            int limb = position >> 6, shift = position & 63;
            ulong low = mantissa << shift, high = shift > 40 ? mantissa >> (64 - shift) : 0;
            ulong borrow = sum[limb] < low ? 1UL : 0;
            sum[limb] -= low;
            for (int i = limb + 1; i < Limbs && (high | borrow) != 0; i++)
            {
                ulong subtrahend = high + borrow;
                borrow = sum[i] < subtrahend ? 1UL : 0;
                sum[i] -= subtrahend;
                high = 0;
            }
        }
    }

    private static void Negate(Span<ulong> limbs)
    {
        unchecked
        {
            ulong carry = 1;
            for (int i = 0; i < limbs.Length; i++)
            {
                limbs[i] = ~limbs[i] + carry;
                carry = carry == 1 && limbs[i] == 0 ? 1UL : 0;
            }
        }
    }
}
