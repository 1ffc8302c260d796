using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Learning.Training;
using Federation.Privacy.Canonical;

namespace Federation.Learning.DataSets;

/// <param name="Examples">The set, with what a skew of features makes of it.</param>
/// <param name="Partition">Each example at most once, no client without its least.</param>
public sealed record DividedExamples(ExampleSet Examples, Partition Partition);

/// <summary>Deals a training set out to clients. Depends on labels, number of clients and seed alone: the same for whoever repeats it.</summary>
public static class Partitioner
{
    public const string Field = "simulation.partition";

    /// <param name="clients">At least 1.</param>
    /// <param name="runSeed">The run's; the partition's own is derived from it.</param>
    /// <param name="folder">The spec's, which its path is relative to.</param>
    /// <exception cref="InvalidInputException">The set cannot be dealt out so, or clients would have too few examples: names how many, and what would be right.</exception>
    public static DividedExamples Divide(PartitionSpec spec, ExampleSet set, int clients, ulong runSeed, string folder)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(clients, 1);
        if ((long)clients * spec.MinExamples > set.Count && spec.Kind is not (PartitionKind.Natural or PartitionKind.File))
        {
            throw new InvalidInputException(new Problem($"{clients} clients with at least {spec.MinExamples} examples each need {(long)clients * spec.MinExamples}; {set.Name} has {set.Count}.", Field: Field, Repair: $"Write clients: {set.Count / spec.MinExamples} or fewer{(spec.MinExamples > 1 ? ", or lower minExamples" : "")}."));
        }

        ulong seed = DerivedSeed.For(runSeed, "partition");
        int[] labels = [.. Enumerable.Range(0, set.Count).Select(set.Label)];
        IReadOnlyList<IReadOnlyList<int>> parts = spec.Kind switch
        {
            PartitionKind.Dirichlet => DirichletPartition.Equal(labels, set.Classes, clients, spec.Alpha, new(seed)),
            PartitionKind.DirichletByLabel => DirichletPartition.ByLabel(labels, set.Classes, clients, spec.Alpha, spec.MinExamples, new(seed)),
            PartitionKind.Shards => ShardPartition.Of(labels, clients, spec.ShardsPerClient, new(seed)),
            PartitionKind.Quantity => QuantityPartition.Dirichlet(set.Count, clients, spec.Alpha, spec.MinExamples, new(seed)),
            PartitionKind.PowerLaw => QuantityPartition.PowerLaw(set.Count, clients, spec.Exponent, new(seed)),
            PartitionKind.Natural => NaturalPartition.Of(set, spec.Column!, clients),
            PartitionKind.File => PartitionFile.Read(Path.Combine(folder, spec.Path!), set.Count, clients),
            _ => QuantityPartition.Iid(set.Count, clients, new(seed)),
        };
        RequireEnough(spec, set, parts);
        var partition = new Partition(parts);
        return new(spec.Kind switch
        {
            PartitionKind.Noise => new NoisyExamples(set, partition, spec.Level, seed),
            PartitionKind.Rotation => new RotatedExamples(set, partition, spec.Degrees),
            _ => set,
        }, partition);
    }

    private static void RequireEnough(PartitionSpec spec, ExampleSet set, IReadOnlyList<IReadOnlyList<int>> parts)
    {
        int few = parts.Count(part => part.Count < spec.MinExamples), empty = parts.Count(part => part.Count == 0);
        if (few == 0) return;
        int first = parts.Index().First(part => part.Item.Count < spec.MinExamples).Index;
        string repair = spec.Kind switch
        {
            PartitionKind.Dirichlet or PartitionKind.DirichletByLabel or PartitionKind.Quantity => "Use fewer clients, a larger alpha, or a smaller minExamples.",
            PartitionKind.PowerLaw => "Use fewer clients, a smaller exponent, or a smaller minExamples.",
            PartitionKind.Shards => "Use fewer clients or fewer shards a client.",
            PartitionKind.Natural => "Leave out the small groups, or lower minExamples.",
            _ => "Give each of them some, or use fewer clients.",
        };
        throw new InvalidInputException(new Problem(
            $"{few} of {parts.Count} clients have fewer than {spec.MinExamples} of the {set.Count} examples{(empty > 0 ? $", {empty} of them none" : "")} (the first of them is client {first}, counted from 0).", Field: Field, Repair: repair));
    }
}
