using System.Runtime.InteropServices;

namespace Federation.Server.Aggregation;

/// <summary>The mean of a round's updates, as they came in the clear, block by block from files.</summary>
internal interface IMeanUpdate
{
    /// <summary>The next coordinates; double.</summary>
    /// <exception cref="EndOfStreamException">An update has fewer.</exception>
    void Read(Span<double> mean);
}

/// <summary>Σ(weighted deltas) / Σ weights; updates are weight·(local − global). The sum is exact and rounded once to double, so the order of the sites cannot matter.</summary>
/// <remarks>Memory: one block, whatever the model and the number of updates.</remarks>
internal sealed class WeightedMean : IMeanUpdate
{
    private readonly IReadOnlyList<Stream> _updates;
    private readonly double _weight;
    private readonly PairSum _sum = new(NextModel.BlockLength);
    private ExactSum? _wide; // for blocks whose sums two doubles do not hold
    private readonly float[] _block = new float[NextModel.BlockLength];

    /// <param name="updates">Each at its data; float32, little-endian; they can be read again.</param>
    /// <param name="weight">Σ weights, positive.</param>
    /// <exception cref="AggregationException">The weight is not positive.</exception>
    public WeightedMean(IReadOnlyList<Stream> updates, double weight)
    {
        if (weight is not > 0) throw new AggregationException($"The weights sum to {weight}; a positive sum is needed.");
        (_updates, _weight) = (updates, weight);
    }

    public void Read(Span<double> mean)
    {
        Span<float> values = _block.AsSpan(0, mean.Length);
        _sum.Clear();
        foreach (Stream update in _updates)
        {
            update.ReadExactly(MemoryMarshal.AsBytes(values));
            _sum.Add(values);
        }

        if (_sum.IsExact) for (int i = 0; i < mean.Length; i++) mean[i] = _sum.ToDouble(i) / _weight;
        else ReadWide(values, mean);
    }

    private void ReadWide(Span<float> values, Span<double> mean)
    {
        ExactSum sum = _wide ??= new ExactSum(NextModel.BlockLength);
        sum.Clear();
        foreach (Stream update in _updates)
        {
            update.Position -= values.Length * sizeof(float);
            update.ReadExactly(MemoryMarshal.AsBytes(values));
            sum.Add(values);
        }

        for (int i = 0; i < mean.Length; i++) mean[i] = sum.ToDouble(i) / _weight;
    }
}
