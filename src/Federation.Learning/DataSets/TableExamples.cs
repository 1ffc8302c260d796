using Federation.Learning.Data;

namespace Federation.Learning.DataSets;

/// <summary>A table's rows as examples; their features come from the schema's public ranges.</summary>
public sealed class TableExamples(string name, Rows rows, int classes) : ExampleSet
{
    private readonly int[] _shape = [rows.Width];

    public override string Name => name;

    public override int Count => rows.Count;

    public override IReadOnlyList<int> Shape => _shape;

    public override int Classes => classes;

    public override IReadOnlyList<string>? Groups => rows.Persons;

    public override int Label(int index) => rows.Labels[index];

    public override void Read(int index, Span<float> values)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(values.Length, rows.Width);
        rows.Features.AsSpan(checked(index * rows.Width), rows.Width).CopyTo(values);
    }
}
