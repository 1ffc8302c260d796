namespace Federation.Learning.Auditing;

/// <summary>For each canary the logarithm of the likelihood ratio of all that was released along its direction, with it against without: no attacker does better who knows the noise and the sampling rate.</summary>
/// <param name="signal">By how much a canary that was sampled moves what is seen.</param>
/// <param name="sigma">σ of the noise in it.</param>
/// <param name="rate">q of the Poisson sampling.</param>
internal sealed class CanaryScores(int canaries, double signal, double sigma, double rate)
{
    private readonly double[] _scores = new double[canaries];

    public ReadOnlySpan<double> Values => _scores;

    /// <param name="sums">One row for each of a canary's weights.</param>
    public void Add(float[][] sums)
    {
        double root = Math.Sqrt(sums.Length);
        for (int i = 0; i < _scores.Length; i++)
        {
            double seen = 0;
            foreach (float[] row in sums) seen += row[i];
            double log = ((2 * seen / root * signal) - (signal * signal)) / (2 * sigma * sigma);
            // ln((1 − q) + q·e^log)
            _scores[i] += log > 0 ? log + Math.Log(rate + ((1 - rate) * Math.Exp(-log))) : Math.Log(1 - rate + (rate * Math.Exp(log)));
        }
    }
}
