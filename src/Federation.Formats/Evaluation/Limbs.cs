namespace Federation.Formats.Evaluation;

/// <summary>Figures as small whole numbers that may be added coefficient by coefficient under encryption: each below 2⁶⁰, in three limbs of 20 bits. Sums over up to 2²⁰ sites stay below 2⁴⁰.</summary>
internal static class Limbs
{
    public const int Each = 3;

    private const int Bits = 20;

    /// <exception cref="ArgumentException">A figure is 2⁶⁰ or more.</exception>
    public static ulong[] Split(IReadOnlyList<ulong> figures)
    {
        ulong[] limbs = new ulong[Each * figures.Count];
        for (int i = 0; i < figures.Count; i++)
        {
            if (figures[i] >> (Each * Bits) != 0) throw new ArgumentException($"Figure {i} is {figures[i]}; below 2^{Each * Bits} is right.", nameof(figures));
            for (int limb = 0; limb < Each; limb++) limbs[(Each * i) + limb] = (figures[i] >> (limb * Bits)) & ((1UL << Bits) - 1);
        }

        return limbs;
    }

    /// <summary>From sums of such limbs.</summary>
    /// <exception cref="ArgumentException">There are fewer than <paramref name="count"/> figures, or one is above <paramref name="largest"/>: a site sent something else.</exception>
    public static UInt128[] Join(ReadOnlySpan<ulong> limbs, int count, UInt128 largest)
    {
        if (limbs.Length < Each * count) throw new ArgumentException($"The opened sums have {limbs.Length} numbers; {Each * count} are right.", nameof(limbs));
        UInt128[] figures = new UInt128[count];
        for (int i = 0; i < count; i++)
        {
            for (int limb = Each - 1; limb >= 0; limb--) figures[i] = (figures[i] << Bits) + limbs[(Each * i) + limb];
            if (figures[i] > largest) throw new ArgumentException($"The opened sums cannot be right: figure {i} is {figures[i]}, above {largest}.", nameof(limbs));
        }

        return figures;
    }
}
