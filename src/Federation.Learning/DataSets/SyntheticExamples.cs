using Federation.Formats.Runs;
using Federation.Learning.Training;
using Federation.Privacy.Canonical;

namespace Federation.Learning.DataSets;

/// <summary>Made-up examples: normal with deviation 1 around their class's centre. Each is made anew when it is read, always the same.</summary>
public sealed class SyntheticExamples : ExampleSet
{
    private const ulong Seed = 0; // of the data, not of a run: every run of a spec sees the same ones
    private readonly float[][] _centres;
    private readonly int[] _shape;

    /// <param name="count">At least 1.</param>
    public SyntheticExamples(string name, SyntheticData data, int count, int classes)
    {
        (Name, Count, Classes, _shape) = (name, count, classes, [.. data.Shape]);
        MemoryCheck.Require((long)classes * Values * sizeof(float), $"{classes} centres of {Values} values");
        _centres = [.. Enumerable.Range(0, classes).Select(label => new SeededGenerator(DerivedSeed.For(Seed, "synthetic-centre", (ulong)label)).Uniform(Values, data.Separation))];
    }

    public override string Name { get; }

    public override int Count { get; }

    public override IReadOnlyList<int> Shape => _shape;

    public override int Classes { get; }

    public override int Label(int index) => index % Classes;

    public override void Read(int index, Span<float> values)
    {
        float[] centre = _centres[Label(index)];
        ArgumentOutOfRangeException.ThrowIfNotEqual(values.Length, centre.Length);
        var generator = new SeededGenerator(DerivedSeed.For(Seed, "synthetic-example", (ulong)index, Name));
        for (int i = 0; i < values.Length; i++) values[i] = centre[i] + (float)generator.Normal();
    }

    internal static LoadedExamples Load(SimulatedData data) => new(
        new SyntheticExamples("synthetic", data.Synthetic!, data.Synthetic!.Examples, data.Classes!.Value),
        new SyntheticExamples("synthetic test", data.Synthetic, data.Synthetic.TestExamples, data.Classes.Value));
}
