namespace Federation.Server.SecureAggregation;

/// <summary>Members answer one set of contributors for each model, sites contribute to each once, and both know a model by its hash: no two models of a run may have one.</summary>
internal static class ModelNames
{
    private const int MostChanges = 1 << 16;

    /// <summary>The hash of weights under which a run may go on.</summary>
    /// <param name="sha256">Of the weights as they are.</param>
    /// <param name="known">Of every model that the run has had.</param>
    /// <param name="changed">Changes low bits of the weights, another pattern for each number in [1, 65535]; gives the hash.</param>
    /// <exception cref="InvalidOperationException">None is left.</exception>
    public static string Free(string sha256, IReadOnlySet<string> known, Func<int, string> changed)
    {
        if (!known.Contains(sha256)) return sha256;
        int first = Convert.ToInt32(sha256[..4], 16); // where it begins differs from model to model, so that runs of equal weights do not try the same ones again
        for (int i = 0; i < MostChanges; i++)
        {
            int change = (first + i) % MostChanges;
            if (change > 0 && changed(change) is { } name && !known.Contains(name)) return name;
        }

        throw new InvalidOperationException($"The run has had {MostChanges} models of the same weights.");
    }
}
