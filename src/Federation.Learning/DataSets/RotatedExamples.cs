using Federation.Formats;

namespace Federation.Learning.DataSets;

/// <summary>Images turned about their centre by degrees · i/N for client i of N, counted from 1.</summary>
public sealed class RotatedExamples : ChangedExamples
{
    private readonly double _degrees;
    private readonly int _count, _channels, _height, _width;

    /// <param name="degrees">The last client's angle, from the right to the top.</param>
    /// <exception cref="InvalidInputException">The set holds no images.</exception>
    public RotatedExamples(ExampleSet set, Partition partition, double degrees)
        : base(set, partition)
    {
        if (set.Shape is not [var channels, var height, var width]) throw new InvalidInputException(new Problem($"{set.Name} holds no images, which alone can be turned.", Field: Partitioner.Field, Repair: "Write kind: noise, or another kind of partition."));
        (_degrees, _count, _channels, _height, _width) = (degrees, partition.Clients.Count, channels, height, width);
    }

    private protected override void Change(int index, int client, Span<float> values) => ImageRotation.Rotate(values, _channels, _height, _width, _degrees * (client + 1) / _count);
}
