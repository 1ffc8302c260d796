namespace Federation.Privacy.Homomorphic;

/// <summary>Where a transform on doubles has to reduce its values so that none leaves 2⁵³: as rarely as the bounds allow.</summary>
internal static class LazyReductions
{
    // Bounds in units of q.
    private static double Largest(double q) => (1UL << 53) / q;

    private static double Remainder(double bound, double q) => 0.5 + (1.5 * bound / Largest(q));

    /// <summary>Before which of the forward transform's passes, in order, values are reduced.</summary>
    /// <param name="odd">Whether a stage stands alone at the beginning.</param>
    /// <param name="passes">Of two stages.</param>
    /// <param name="tail">Stages of the last pass.</param>
    public static bool[] Forward(bool odd, int passes, int tail, double q)
    {
        List<bool> reduces = [];
        double bound = 1;
        int[] stages = [.. odd ? (int[])[1] : [], .. Enumerable.Repeat(2, passes), tail];
        foreach (int count in stages)
        {
            double kept = After(bound, bound, count);
            bool needed = kept > Largest(q);
            reduces.Add(needed);
            bound = needed ? After(0.501, bound, count) : kept;
            if (bound > Largest(q)) throw new InvalidOperationException($"The transform modulo {q} could leave 2^53.");
        }

        return [.. reduces];

        double After(double left, double right, int count)
        {
            for (int i = 0; i < count; i++) left = right = left + Remainder(right, q);
            return left;
        }
    }

    /// <summary>The same for the inverse: the tail's middle, the tail's end, then the passes.</summary>
    public static bool[] Inverse(bool odd, int passes, int tail, double q)
    {
        // Stages between the places where sums can be reduced.
        int[] segments = [.. tail == 4 ? (int[])[2, 2] : [tail], .. Enumerable.Repeat(2, passes), .. odd ? (int[])[1] : []];
        List<bool> reduces = tail == 4 ? [] : [false];
        double sums = 1, products = 1;
        for (int i = 0; i < segments.Length; i++)
        {
            double bound = Math.Max(sums, products);
            if (i > 0)
            {
                bool needed = bound * (1 << segments[i]) > Largest(q);
                reduces.Add(needed);
                if (needed) bound = Math.Max(0.501, products);
            }

            for (int stage = 0; stage < segments[i]; stage++) (sums, products, bound) = (2 * bound, Remainder(2 * bound, q), 2 * bound);
            if (bound > Largest(q)) throw new InvalidOperationException($"The inverse transform modulo {q} could leave 2^53.");
        }

        reduces.Add(false);
        return [.. reduces];
    }
}
