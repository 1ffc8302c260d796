using System.Numerics;
using System.Runtime.CompilerServices;

namespace Federation.Privacy.Accounting;

/// <summary>Moments of a step's coarse bins, for planning only: where to look and how finely. No bound rests on them, so the vector exponential's last digits do not matter.</summary>
internal sealed class SketchMoments
{
    private readonly double[] _logMasses, _middles;

    public SketchMoments(LossBin[] bins) => (_logMasses, _middles) = ([.. bins.Select(bin => bin.LogMass)], [.. bins.Select(bin => bin.Middle)]);

    /// <summary>ln E[e^(tilt·l)] and its first two derivatives, over the first so many bins.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public (double Value, double Mean, double Variance) At(double tilt, int count)
    {
        int width = Vector<double>.Count, whole = count - (count % width);
        ReadOnlySpan<double> logMasses = _logMasses.AsSpan(0, count), middles = _middles.AsSpan(0, count);
        double largest = double.NegativeInfinity;
        Vector<double> tilts = new(tilt), most = new(double.NegativeInfinity);
        for (int i = 0; i < whole; i += width) most = Vector.Max(most, new Vector<double>(logMasses[i..]) + (tilts * new Vector<double>(middles[i..])));
        for (int lane = 0; lane < width; lane++) largest = Math.Max(largest, most[lane]);
        for (int i = whole; i < count; i++) largest = Math.Max(largest, logMasses[i] + (tilt * middles[i]));

        Vector<double> sums = Vector<double>.Zero, means = Vector<double>.Zero, squares = Vector<double>.Zero, shift = new(largest);
        for (int i = 0; i < whole; i += width)
        {
            Vector<double> middle = new(middles[i..]), weight = Vector.Exp(new Vector<double>(logMasses[i..]) + (tilts * middle) - shift), weighted = weight * middle;
            sums += weight;
            means += weighted;
            squares += weighted * middle;
        }

        double sum = Vector.Sum(sums), mean = Vector.Sum(means), square = Vector.Sum(squares);
        for (int i = whole; i < count; i++)
        {
            double weight = Math.Exp(logMasses[i] + (tilt * middles[i]) - largest);
            sum += weight;
            mean += weight * middles[i];
            square += weight * middles[i] * middles[i];
        }

        mean /= sum;
        return (largest + Math.Log(sum), mean, Math.Max(0, (square / sum) - (mean * mean)));
    }
}
