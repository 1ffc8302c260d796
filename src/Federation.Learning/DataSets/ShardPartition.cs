using Federation.Learning.Training;

namespace Federation.Learning.DataSets;

/// <summary>The "pathological" partition: most clients have only a few labels.</summary>
internal static class ShardPartition
{
    /// <summary>Examples sorted by label are cut into clients · shards equal pieces (give or take one example), which are dealt out at random, so many to each client.</summary>
    /// <remarks>McMahan et al. 2017, section 3: MNIST, 200 shards of 300, 2 to each of 100 clients.</remarks>
    public static List<int>[] Of(int[] labels, int clients, int shardsPerClient, SeededGenerator generator)
    {
        int count = checked(clients * shardsPerClient);
        int[] byLabel = [.. generator.Order(labels.Length).OrderBy(index => labels[index])]; // stable: random within a label
        int[][] shards = QuantityPartition.Cut(byLabel, count);
        int[] order = generator.Order(count);
        return [.. Enumerable.Range(0, clients).Select(client => order.Skip(client * shardsPerClient).Take(shardsPerClient).SelectMany(shard => shards[shard]).ToList())];
    }
}
