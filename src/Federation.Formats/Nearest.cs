namespace Federation.Formats;

/// <summary>The valid name that a misspelt one probably meant.</summary>
public static class Nearest
{
    /// <summary>The candidate within an edit distance of a third of its length (at least 1, ignoring case), or null.</summary>
    public static string? Match(string text, IEnumerable<string> candidates)
    {
        string? best = null;
        int bestDistance = int.MaxValue;
        foreach (string candidate in candidates)
        {
            int distance = Distance(text.ToLowerInvariant(), candidate.ToLowerInvariant());
            if (distance >= bestDistance || distance > Math.Max(1, candidate.Length / 3)) continue;
            (best, bestDistance) = (candidate, distance);
        }

        return best;
    }

    /// <summary>"Did you mean 'x'?" where one is near, else the list of valid names.</summary>
    public static string Repair(string text, IReadOnlyCollection<string> candidates) =>
        Match(text, candidates) is { } match ? $"Did you mean '{match}'?" : $"Known: {string.Join(", ", candidates)}.";

    /// <summary>Insertions, deletions, substitutions and swaps of neighbours (Damerau 1964, optimal string alignment).</summary>
    private static int Distance(string a, string b)
    {
        if (Math.Abs(a.Length - b.Length) > 16) return int.MaxValue;
        int[,] distance = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++) distance[i, 0] = i;
        for (int j = 0; j <= b.Length; j++) distance[0, j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            for (int j = 1; j <= b.Length; j++)
            {
                int substitution = distance[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                distance[i, j] = Math.Min(substitution, Math.Min(distance[i - 1, j], distance[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) distance[i, j] = Math.Min(distance[i, j], distance[i - 2, j - 2] + 1);
            }
        }

        return distance[a.Length, b.Length];
    }
}
