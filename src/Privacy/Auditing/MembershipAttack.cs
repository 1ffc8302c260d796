namespace Federation.Privacy.Auditing;

/// <summary>
/// Was this record in the training data? Answered from the model's confidence in the record's label, by comparing with models that were trained with it and without it ("shadow models").
/// </summary>
/// <remarks>Carlini, Chien, Nasr, Song, Terzis, Tramèr 2022, Algorithm 1 (LiRA, online): normal distributions are fitted to the logit-scaled confidences of both kinds, and the score is the logarithm of their likelihood ratio.</remarks>
public sealed class MembershipAttack
{
    private readonly NormalFit _in, _out;

    /// <param name="with">Logit-scaled confidences of models trained with the record; at least 2.</param>
    /// <param name="without">Of models trained without it; at least 2.</param>
    /// <exception cref="ArgumentException">There are fewer, or one is not finite.</exception>
    public MembershipAttack(IReadOnlyCollection<double> with, IReadOnlyCollection<double> without) => (_in, _out) = (NormalFit.Of(with), NormalFit.Of(without));

    /// <summary>φ(p) = ln(p/(1 − p)): confidences pile up at 0 and 1, their logits are about normal.</summary>
    /// <param name="confidence">The probability that the model gives the record's label; kept off 0 and 1 by 10⁻¹².</param>
    /// <remarks>Carlini et al. 2022, section V.</remarks>
    public static double LogitScaled(double confidence)
    {
        if (confidence is not (>= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(confidence), confidence, "A probability must be in [0, 1].");
        double kept = Math.Clamp(confidence, 1e-12, 1 - 1e-12);
        return Math.Log(kept) - Math.Log(1 - kept);
    }

    /// <summary>ln of the likelihood ratio; higher speaks for "in".</summary>
    /// <param name="logit">Of the model that is attacked.</param>
    public double Score(double logit) => _in.LogDensity(logit) - _out.LogDensity(logit);

    private readonly record struct NormalFit(double Mean, double Deviation)
    {
        public static NormalFit Of(IReadOnlyCollection<double> values)
        {
            if (values.Count < 2 || values.Any(value => !double.IsFinite(value))) throw new ArgumentException($"At least two finite values are needed to fit a normal distribution; there are {values.Count}.", nameof(values));
            double mean = values.Average();
            double variance = values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1);
            return new(mean, Math.Max(Math.Sqrt(variance), 1e-6 * (1 + Math.Abs(mean)))); // equal values have no width of their own
        }

        public double LogDensity(double value) => (-0.5 * (value - Mean) / Deviation * ((value - Mean) / Deviation)) - Math.Log(Deviation);
    }
}
