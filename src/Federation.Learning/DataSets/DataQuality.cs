using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Federation.Learning.DataSets;

/// <summary>What is worth knowing of public examples before anybody trains on them. It says much about single ones, so it is not for private records that leave their site.</summary>
public sealed record DataQuality
{
    /// <summary>Training examples of each label.</summary>
    public required IReadOnlyList<int> LabelCounts { get; init; }

    /// <summary>Test examples of each label.</summary>
    public required IReadOnlyList<int> TestLabelCounts { get; init; }

    /// <summary>Features with one value in all training examples.</summary>
    public required int ConstantFeatures { get; init; }

    /// <summary>Training examples whose values are those of an earlier one.</summary>
    public required int Duplicates { get; init; }

    /// <summary>Of these, the ones that an earlier one contradicts by its label.</summary>
    public required int Contradictions { get; init; }

    /// <summary>Test examples whose values are those of a training example: what is measured on them is memory.</summary>
    public required int TestInTraining { get; init; }

    /// <summary>Training examples with a value that is no finite number.</summary>
    public required int NonFinite { get; init; }

    /// <summary>Reads every example once.</summary>
    public static DataQuality Of(LoadedExamples sets)
    {
        float[] values = new float[sets.Train.Values], first = new float[values.Length];
        bool[] varies = new bool[values.Length];
        Dictionary<UInt128, int> labels = [];
        int duplicates = 0, contradictions = 0, nonFinite = 0;
        for (int i = 0; i < sets.Train.Count; i++)
        {
            sets.Train.Read(i, values);
            if (i == 0) values.CopyTo(first, 0);
            for (int j = 0; j < values.Length; j++) varies[j] |= values[j] != first[j];
            if (values.Any(value => !float.IsFinite(value))) nonFinite++;
            if (labels.TryAdd(Key(values), sets.Train.Label(i))) continue;
            duplicates++;
            if (labels[Key(values)] != sets.Train.Label(i)) contradictions++;
        }

        int known = 0;
        for (int i = 0; i < sets.Test.Count; i++)
        {
            sets.Test.Read(i, values);
            if (labels.ContainsKey(Key(values))) known++;
        }

        return new()
        {
            LabelCounts = CountsOf(sets.Train),
            TestLabelCounts = CountsOf(sets.Test),
            ConstantFeatures = varies.Count(varied => !varied),
            Duplicates = duplicates,
            Contradictions = contradictions,
            TestInTraining = known,
            NonFinite = nonFinite,
        };
    }

    /// <summary>A sentence for each thing that a reader of results should know; empty: nothing was found.</summary>
    public IEnumerable<string> Findings()
    {
        int most = LabelCounts.Max(), absent = LabelCounts.Count(count => count == 0), least = LabelCounts.Where(count => count > 0).DefaultIfEmpty(0).Min();
        if (absent > 0) yield return $"{absent} of {LabelCounts.Count} labels have no training example.";
        if (most > 2 * least) yield return $"The commonest label has {most} training examples, the rarest {least}: look at balanced accuracy or AUC beside accuracy.";
        if (ConstantFeatures > 0) yield return $"{ConstantFeatures} features have one value in all training examples.";
        if (Duplicates > 0) yield return $"{Duplicates} training examples repeat an earlier one{(Contradictions > 0 ? $", {Contradictions} of them under another label" : "")}.";
        if (TestInTraining > 0) yield return $"{TestInTraining} test examples are among the training examples too: accuracy on them is memory.";
        if (NonFinite > 0) yield return $"{NonFinite} training examples have a value that is no finite number.";
    }

    private static int[] CountsOf(ExampleSet set)
    {
        int[] counts = new int[set.Classes];
        for (int i = 0; i < set.Count; i++) counts[set.Label(i)]++;
        return counts;
    }

    private static UInt128 Key(float[] values)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(MemoryMarshal.AsBytes<float>(values), hash);
        return BinaryPrimitives.ReadUInt128LittleEndian(hash);
    }
}
