using Federation.Formats.Runs;
using Federation.Privacy.Mechanisms;

namespace Federation.Server.Aggregation;

/// <summary>The next global model under <see cref="CentralNoise"/>: model + (Σ of the clipped updates + noise)/number of contributors, block by block from files. Nothing leaves it before the noise is in.</summary>
/// <remarks>Memory: one block, whatever the model and the number of updates.</remarks>
internal static class NoisyMean
{
    /// <summary>Writes the data region of the next model. Two calls for one round are two releases: the outcome of one of them alone may be published.</summary>
    /// <param name="next">Gets the mean.</param>
    /// <param name="updates">Each at its data, and seekable; the same layout as the model. Each counts 1, at most as long as C.</param>
    /// <param name="length">Bytes of the data region.</param>
    /// <param name="whole">The norm that a site's vector is clipped to, vote included.</param>
    /// <param name="noise">Of the spec and this model's size, with randomness of its own for this release.</param>
    /// <returns>The mean vote, as <see cref="SiteClip.Next"/> takes it; 0 where C stays.</returns>
    /// <exception cref="NonFiniteValueException">An update holds NaN or ∞; nothing may be released.</exception>
    /// <exception cref="AggregationException">A value of the next model does not fit float32.</exception>
    public static double WriteNext(NextModel next, IReadOnlyList<Stream> updates, long length, PrivacySpec privacy, double whole, GridGaussian noise, CancellationToken cancellationToken)
    {
        double step = whole * noise.Step; // exact: a power of two
        var sum = new ClippedSum(updates, length, SiteClip.Of(privacy, whole), step);
        long[] sums = new long[NextModel.BlockLength];
        float[] mean = new float[NextModel.BlockLength];
        for (long left = length / sizeof(float); left > 0;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Span<long> block = sums.AsSpan(0, (int)Math.Min(sums.Length, left));
            sum.Read(block);
            noise.AddNoiseSteps(block);
            for (int i = 0; i < block.Length; i++) mean[i] = (float)(block[i] * step / updates.Count);
            next.Add(mean.AsSpan(0, block.Length));
            left -= block.Length;
        }

        next.End();
        if (SiteClip.Votes(privacy) == 0) return 0;
        sums[0] = sum.Votes();
        noise.AddNoiseSteps(sums.AsSpan(0, 1));
        return sums[0] * step / updates.Count;
    }
}
