using Federation.Learning.DataSets;

namespace Federation.Simulation.Tests;

/// <summary>Made-up examples: a class is a point in the plane of its own, and noise around it.</summary>
internal sealed class Blobs(int count, int classes, int values = 6) : ExampleSet
{
    public override string Name => "blobs";

    public override int Count => count;

    public override IReadOnlyList<int> Shape => [1, 1, values];

    public override int Classes => classes;

    public override int Label(int index) => index % classes;

    public override void Read(int index, Span<float> values)
    {
        int label = Label(index);
        for (int i = 0; i < values.Length; i++) values[i] = (float)(Math.Sin((label + 1) * (i + 1)) + (0.3 * Math.Sin((index * 7919) + (i * 104729))));
    }
}
