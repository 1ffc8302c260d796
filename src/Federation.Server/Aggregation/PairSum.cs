using System.Numerics;

namespace Federation.Server.Aggregation;

/// <summary>Sums of float32 values, one for each coordinate, in two doubles each: exact, or known not to be. The fast twin of <see cref="ExactSum"/>, whose result it has wherever it is exact.</summary>
/// <remarks>
/// Knuth's TwoSum (The Art of Computer Programming, vol. 2, 4.2.2, theorem B) splits each addition into what the double holds and what it leaves; what the second double in turn leaves has to be 0.
/// 106 bits hold a coordinate's addends unless their exponents lie some 80 apart.
/// </remarks>
internal sealed class PairSum(int count)
{
    private readonly double[] _high = new double[count], _low = new double[count];

    /// <summary>Since the last <see cref="Clear"/>; false also where a value was not finite.</summary>
    public bool IsExact { get; private set; } = true;

    public void Clear()
    {
        Array.Clear(_high);
        Array.Clear(_low);
        IsExact = true;
    }

    /// <summary>sum[i] += values[i].</summary>
    public void Add(ReadOnlySpan<float> values)
    {
        Span<double> high = _high.AsSpan(0, values.Length), low = _low.AsSpan(0, values.Length);
        Vector<double> left = Vector<double>.Zero;
        int i = 0, step = Vector<float>.Count, half = Vector<double>.Count;
        for (; i <= values.Length - step; i += step)
        {
            Vector.Widen(new Vector<float>(values[i..]), out Vector<double> first, out Vector<double> second);
            left = Vector.BitwiseOr(left, Add(high[i..], low[i..], first));
            left = Vector.BitwiseOr(left, Add(high[(i + half)..], low[(i + half)..], second));
        }

        bool exact = Vector.EqualsAll(left, Vector<double>.Zero);
        for (; i < values.Length; i++) exact &= Add(ref high[i], ref low[i], values[i]) == 0;
        IsExact &= exact;
    }

    /// <summary>The sum at a coordinate, rounded once to the nearest double (ties to even), where it is exact.</summary>
    public double ToDouble(int index) => _high[index] + _low[index];

    /// <returns>What the pair could not hold; bits that are not all of ±0.</returns>
    private static Vector<double> Add(Span<double> high, Span<double> low, Vector<double> value)
    {
        (Vector<double> sum, Vector<double> rest) = TwoSum(new Vector<double>(high), value);
        (Vector<double> small, Vector<double> left) = TwoSum(new Vector<double>(low), rest);
        sum.CopyTo(high);
        small.CopyTo(low);
        return Vector.AndNot(left, new Vector<double>(-0.0)); // without the sign: −0 is nothing
    }

    private static double Add(ref double high, ref double low, double value)
    {
        (Vector<double> sum, Vector<double> rest) = TwoSum(new Vector<double>(high), new Vector<double>(value));
        (Vector<double> small, Vector<double> left) = TwoSum(new Vector<double>(low), rest);
        (high, low) = (sum[0], small[0]);
        return left[0];
    }

    private static (Vector<double> Sum, Vector<double> Left) TwoSum(Vector<double> a, Vector<double> b)
    {
        Vector<double> sum = a + b, ofB = sum - a;
        return (sum, (a - (sum - ofB)) + (b - ofB));
    }
}
