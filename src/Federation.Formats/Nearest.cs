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

    /// <summary>Levenshtein 1966, one row at a time.</summary>
    private static int Distance(string a, string b)
    {
        if (Math.Abs(a.Length - b.Length) > 16) return int.MaxValue;
        int[] row = new int[b.Length + 1];
        for (int j = 0; j <= b.Length; j++) row[j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substitution, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[b.Length];
    }
}
