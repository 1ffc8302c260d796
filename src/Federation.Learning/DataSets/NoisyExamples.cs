using Federation.Learning.Training;
using Federation.Privacy.Canonical;

namespace Federation.Learning.DataSets;

/// <summary>Features with normal noise, of variance level · i/N for client i of N, counted from 1; the same whenever an example is read.</summary>
/// <remarks>Li, Diao, Chen, He 2022, "noise-based feature imbalance". The noise is for trials, and protects nobody.</remarks>
public sealed class NoisyExamples : ChangedExamples
{
    private readonly double _level;
    private readonly int _count;
    private readonly ulong _seed;

    /// <param name="level">The last client's variance, in units of the normalised features.</param>
    public NoisyExamples(ExampleSet set, Partition partition, double level, ulong seed)
        : base(set, partition) => (_level, _count, _seed) = (level, partition.Clients.Count, seed);

    private protected override void Change(int index, int client, Span<float> values)
    {
        double deviation = Math.Sqrt(_level * (client + 1) / _count);
        var generator = new SeededGenerator(DerivedSeed.For(_seed, "feature-noise", (ulong)index));
        foreach (ref float value in values) value += (float)(deviation * generator.Normal());
    }
}
