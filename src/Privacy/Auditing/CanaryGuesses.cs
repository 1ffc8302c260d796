namespace Federation.Privacy.Auditing;

/// <summary>What an auditor guesses about canaries, each of which was put into the data or left out by a fair coin, and how often the coin agrees.</summary>
/// <param name="Canaries">m, all of them.</param>
/// <param name="Guesses">r, those about which a guess was made. Fixed before anything was seen.</param>
/// <param name="Correct">v</param>
public readonly record struct CanaryGuesses(int Canaries, int Guesses, int Correct)
{
    /// <summary>Guesses that the ⌊r/2⌋ canaries with the highest scores are in and the ⌈r/2⌉ with the lowest are out, and abstains from the others. Equal scores are taken in the canaries' order, which the coins know nothing of.</summary>
    /// <param name="scores">Of each canary; higher speaks for "in".</param>
    /// <param name="included">The coins.</param>
    /// <param name="guesses">r, in [1, m].</param>
    /// <exception cref="ArgumentException">There are other scores than coins, or a score is NaN.</exception>
    /// <remarks>Steinke, Nasr, Jagielski 2023, Algorithm 1.</remarks>
    public static CanaryGuesses Of(ReadOnlySpan<double> scores, ReadOnlySpan<bool> included, int guesses)
    {
        Check(scores, included);
        if (guesses < 1 || guesses > scores.Length) throw new ArgumentOutOfRangeException(nameof(guesses), guesses, $"Of {scores.Length} canaries 1 to {scores.Length} can be guessed.");
        double[] sorted = scores.ToArray();
        int[] order = [.. Enumerable.Range(0, sorted.Length).OrderBy(i => sorted[i])]; // stable
        int correct = 0, highest = guesses / 2;
        for (int i = 0; i < guesses - highest; i++) correct += included[order[i]] ? 0 : 1;
        for (int i = 1; i <= highest; i++) correct += included[order[^i]] ? 1 : 0;
        return new(sorted.Length, guesses, correct);
    }

    private static void Check(ReadOnlySpan<double> scores, ReadOnlySpan<bool> included)
    {
        if (scores.Length != included.Length) throw new ArgumentException($"There are {scores.Length} scores of {included.Length} canaries.", nameof(scores));
        foreach (double score in scores)
        {
            if (double.IsNaN(score)) throw new ArgumentException("A score is NaN.", nameof(scores));
        }
    }

    /// <exception cref="ArgumentOutOfRangeException">Not 0 ≤ v ≤ r ≤ m.</exception>
    internal void Check()
    {
        if (Correct < 0 || Correct > Guesses || Guesses > Canaries) throw new ArgumentOutOfRangeException(nameof(Correct), $"{Correct} right of {Guesses} guesses about {Canaries} canaries is not possible.");
    }
}
