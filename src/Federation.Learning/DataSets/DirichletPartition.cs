using Federation.Learning.Training;

namespace Federation.Learning.DataSets;

/// <summary>Skewed labels: the smaller alpha, the fewer labels a client has.</summary>
internal static class DirichletPartition
{
    /// <summary>
    /// Each client draws its mix q ~ Dirichlet(alpha · p), p the labels' shares in the whole set, and then its examples, one by one, by a label drawn from q, without replacement;
    /// a label that has run out is left out of q. Clients draw in turns, so that none is left with what nobody wanted; all examples are used, and sizes differ by one at most.
    /// </summary>
    /// <remarks>Hsu, Qi, Brown 2019, section 3: alpha · p, not alpha, so that with ten labels their 1 is what elsewhere is called 0.1 a label.</remarks>
    public static List<int>[] Equal(int[] labels, int classes, int clients, double alpha, SeededGenerator generator)
    {
        Queue<int>[] pools = [.. Pools(labels, classes, generator).Select(pool => new Queue<int>(pool))];
        double[] alphas = [.. pools.Select(pool => alpha * pool.Count / labels.Length)];
        double[][] mixes = [.. Enumerable.Range(0, clients).Select(_ => DirichletDraw.Of(alphas, generator))];
        List<int>[] parts = [.. Enumerable.Range(0, clients).Select(_ => new List<int>((labels.Length / clients) + 1))];
        for (int left = labels.Length, client = 0; left > 0; left--, client = (client + 1) % clients)
        {
            parts[client].Add(pools[DrawLabel(mixes[client], pools, left, generator)].Dequeue());
        }

        return parts;
    }

    /// <summary>
    /// The examples of each label are dealt to the clients by shares drawn from Dirichlet(alpha, …, alpha), so that sizes differ too;
    /// drawn again, all labels of them, while a client has fewer than its least. The last draw is returned whatever it is.
    /// </summary>
    /// <remarks>Yurochkin et al. 2019; Li, Diao, Chen, He 2022, "distribution-based label imbalance", without their code's extra rule that full clients get no more.</remarks>
    public static List<int>[] ByLabel(int[] labels, int classes, int clients, double alpha, int least, SeededGenerator generator)
    {
        int[][] pools = Pools(labels, classes, generator);
        List<int>[] parts = [];
        for (int draw = 0; draw < QuantityPartition.MostDraws && (draw == 0 || parts.Any(part => part.Count < least)); draw++)
        {
            parts = [.. Enumerable.Range(0, clients).Select(_ => new List<int>())];
            foreach (int[] pool in pools.Where(pool => pool.Length > 0))
            {
                int[][] pieces = QuantityPartition.Cut(pool, DirichletDraw.Symmetric(clients, alpha, generator));
                for (int client = 0; client < clients; client++) parts[client].AddRange(pieces[client]);
            }
        }

        return parts;
    }

    /// <summary>The examples of each label, in random order.</summary>
    public static int[][] Pools(int[] labels, int classes, SeededGenerator generator)
    {
        List<int>[] pools = [.. Enumerable.Range(0, classes).Select(_ => new List<int>())];
        foreach (int index in generator.Order(labels.Length)) pools[labels[index]].Add(index);
        return [.. pools.Select(pool => pool.ToArray())];
    }

    private static int DrawLabel(double[] mix, Queue<int>[] pools, int left, SeededGenerator generator)
    {
        double there = 0;
        for (int label = 0; label < mix.Length; label++) there += pools[label].Count > 0 ? mix[label] : 0;
        double at = generator.Unit() * there;
        int last = -1;
        for (int label = 0; label < mix.Length && there > 0; label++)
        {
            if (pools[label].Count == 0 || mix[label] == 0) continue;
            last = label;
            at -= mix[label];
            if (at < 0) return label;
        }

        if (last >= 0) return last; // rounding
        // Nothing of the client's mix is left: any example, each as likely as another.
        uint any = generator.Below((uint)left);
        int chosen = 0;
        while (any >= pools[chosen].Count) any -= (uint)pools[chosen++].Count;
        return chosen;
    }
}
