using Federation.Learning.DataSets;

namespace Federation.Learning.Tests.DataSets;

/// <summary>Examples whose values are nought, whose labels are given.</summary>
internal sealed class LabelledExamples(int[] labels, int classes, int[]? shape = null, string[]? groups = null) : ExampleSet
{
    public override string Name => "made up";

    public override int Count => labels.Length;

    public override IReadOnlyList<int> Shape { get; } = shape ?? [1000];

    public override int Classes => classes;

    public override IReadOnlyList<string>? Groups => groups;

    public override int Label(int index) => labels[index];

    public override void Read(int index, Span<float> values) => values.Clear();
}
