using System.Numerics;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// How integers become coefficients: f fields of b bits each, a site's integer in [0, L] in each field, so that the sum over a whole cohort overflows neither a field nor the coefficient. Immutable.
/// L is even: L/2 stands for zero.
/// </summary>
/// <remarks>
/// With S = cohort·L two things are required: S ≤ 2^b − 1, so that no field reaches into the next, and S·(1 + 2^b + … + 2^(b(f−1))) ≤ <see cref="LargestSum"/>, the largest coefficient that can occur. L is the largest even number that meets both.
/// </remarks>
public sealed class UpdateLayout
{
    /// <summary>Coefficients in a block, the degree of the pad ring.</summary>
    public const int BlockLength = PadRing.Degree;

    /// <summary>So many contributions a sum of the pad ring holds.</summary>
    public const int LargestCohort = PadRing.MostContributions;

    private const int DirectBits = 40;

    private UpdateLayout(bool isDirect, int cohort, int fields)
    {
        if (cohort is < 1 or > LargestCohort) throw new ArgumentOutOfRangeException(nameof(cohort), cohort, $"A cohort must have 1 to {LargestCohort} sites.");
        (IsDirect, Cohort, FieldsPerCoefficient) = (isDirect, cohort, fields);
        PlaintextBits = isDirect ? DirectBits : PadRing.PlaintextBits(cohort);
        LargestSum = isDirect ? (1L << DirectBits) - 1 : (long)PadRing.LargestSum(PlaintextBits);
        FieldBits = PlaintextBits / fields;
        long ones = 0;
        for (int field = 0; field < fields; field++) ones += 1L << (FieldBits * field);
        Levels = Math.Min((1L << FieldBits) - 1, LargestSum / ones) / cohort / 2 * 2;
    }

    /// <summary>One field a coefficient of the key ring, sums below 2⁴⁰; otherwise fields in the plaintext of the pad ring.</summary>
    public bool IsDirect { get; }

    /// <summary>The most contributors to a sum.</summary>
    public int Cohort { get; }

    /// <summary>p: 40 in direct mode, otherwise <see cref="PadRing.PlaintextBits"/> of the cohort.</summary>
    public int PlaintextBits { get; }

    /// <summary>f.</summary>
    public int FieldsPerCoefficient { get; }

    /// <summary>b; field k is in the bits from k·b on.</summary>
    public int FieldBits { get; }

    /// <summary>L, even: a site's integers are 0 to L.</summary>
    public long Levels { get; }

    /// <summary>The largest sum of a coefficient that can be read.</summary>
    public long LargestSum { get; }

    /// <summary>Values in a block: f·<see cref="BlockLength"/>.</summary>
    public int ValuesPerBlock => FieldsPerCoefficient * BlockLength;

    /// <summary>Hybrid mode: as many fields a coefficient as leave each value 2^bits levels.</summary>
    /// <param name="bits">The least precision of a site's value: L ≥ 2^bits − 1. Positive.</param>
    /// <param name="cohort">The most contributors, 1 to <see cref="LargestCohort"/>.</param>
    /// <exception cref="UpdateLayoutException">Not even one value a coefficient has this precision.</exception>
    /// <exception cref="ArgumentOutOfRangeException">Bits or cohort are not in range.</exception>
    public static UpdateLayout Choose(int bits, int cohort)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bits);
        for (int fields = PadRing.PlaintextBits(cohort) / bits; fields > 1; fields--)
        {
            UpdateLayout layout = new(false, cohort, fields);
            if (layout.Holds(bits)) return layout;
        }

        return Fitting(new(false, cohort, 1), bits);
    }

    /// <summary>Direct mode: one value a coefficient of the key ring.</summary>
    /// <inheritdoc cref="Choose"/>
    public static UpdateLayout ChooseDirect(int bits, int cohort)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bits);
        return Fitting(new(true, cohort, 1), bits);
    }

    /// <summary>Mode, cohort, f, and what follows from them: p, b and L.</summary>
    internal CanonicalWriter Write(CanonicalWriter writer) =>
        writer.Field(IsDirect ? "direct" : "hybrid").Field((ulong)Cohort).Field((ulong)FieldsPerCoefficient).Field((ulong)PlaintextBits).Field((ulong)FieldBits).Field((ulong)Levels);

    /// <exception cref="FormatException">These fields are no layout, or p, b or L are not what this program makes of them.</exception>
    internal static UpdateLayout Read(ref CanonicalReader reader)
    {
        string mode = reader.Text(6);
        if (mode is not ("direct" or "hybrid")) throw new FormatException($"A layout's mode is direct or hybrid, not '{mode}'.");
        int cohort = reader.Int32(1, LargestCohort), fields = reader.Int32(1, mode == "direct" ? 1 : PadRing.PlaintextBits(cohort));
        UpdateLayout layout = new(mode == "direct", cohort, fields);
        ulong bits = reader.UInt64(), fieldBits = reader.UInt64(), levels = reader.UInt64();
        if ((bits, fieldBits, levels) != ((ulong)layout.PlaintextBits, (ulong)layout.FieldBits, (ulong)layout.Levels) || levels == 0)
        {
            throw new FormatException($"A {mode} layout of {fields} fields for {cohort} sites has p = {layout.PlaintextBits}, b = {layout.FieldBits} and L = {layout.Levels}, not {bits}, {fieldBits} and {levels}; L is at least 2.");
        }

        return layout;
    }

    /// <summary>The blocks that hold so many values; the last may be partly unused.</summary>
    public int Blocks(int values)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(values);
        return (int)(((long)values + ValuesPerBlock - 1) / ValuesPerBlock);
    }

    /// <summary>The coefficients of these blocks.</summary>
    public long Coefficients(int values) => (long)Blocks(values) * BlockLength;

    private bool Holds(int bits) => bits < 62 && Levels >= (1L << bits) - 1;

    private static UpdateLayout Fitting(UpdateLayout layout, int bits) => layout.Holds(bits) ? layout : throw new UpdateLayoutException(
        $"{bits} bits a value do not fit into a sum over {layout.Cohort} sites: the most that fits is {BitOperations.Log2((ulong)layout.Levels + 1)} bits.", "Ask for fewer bits or a smaller cohort.");
}
