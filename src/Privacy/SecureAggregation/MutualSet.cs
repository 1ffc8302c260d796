using System.Numerics;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The largest set of members of which every two agree: the largest clique of up to 32 vertices.</summary>
internal static class MutualSet
{
    /// <param name="members">Bit i: the member with index i + 1.</param>
    /// <param name="agrees">At index i + 1, with whom it agrees, as bits; mutual.</param>
    /// <returns>Bits. Of several largest sets the one that a search from low indices finds first.</returns>
    public static uint Largest(uint members, ReadOnlySpan<uint> agrees) => Largest(0, members, agrees, 0);

    private static uint Largest(uint chosen, uint candidates, ReadOnlySpan<uint> agrees, uint best)
    {
        // A member that agrees with all others belongs to the set; only the rest have to be tried. At most 1.62^32 steps, far fewer by the bound.
        uint disputed = 0;
        for (uint rest = candidates; rest != 0 && disputed == 0; rest &= rest - 1)
        {
            uint bit = rest & ~(rest - 1);
            if ((candidates & ~bit & ~agrees[BitOperations.TrailingZeroCount(rest) + 1]) != 0) disputed = bit;
        }

        if (disputed == 0) return BitOperations.PopCount(chosen | candidates) > BitOperations.PopCount(best) ? chosen | candidates : best;
        if (BitOperations.PopCount(chosen | candidates) <= BitOperations.PopCount(best)) return best;
        best = Largest(chosen | disputed, candidates & ~disputed & agrees[BitOperations.TrailingZeroCount(disputed) + 1], agrees, best);
        return Largest(chosen, candidates & ~disputed, agrees, best);
    }
}
