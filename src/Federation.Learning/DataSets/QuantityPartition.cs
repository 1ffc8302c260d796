using Federation.Learning.Training;

namespace Federation.Learning.DataSets;

/// <summary>A shuffle cut into parts: labels are alike everywhere, sizes as the shares say.</summary>
internal static class QuantityPartition
{
    /// <summary>Drawn anew so often where a client got too few.</summary>
    public const int MostDraws = 100;

    /// <summary>Equal parts, give or take one example.</summary>
    public static int[][] Iid(int count, int clients, SeededGenerator generator) => Cut(generator.Order(count), clients);

    /// <summary>Shares from a symmetric Dirichlet distribution; drawn again while a client has fewer than its least. The last draw is returned whatever it is.</summary>
    /// <remarks>Li, Diao, Chen, He 2022, "quantity skew".</remarks>
    public static int[][] Dirichlet(int count, int clients, double alpha, int least, SeededGenerator generator)
    {
        int[] order = generator.Order(count);
        int[][] parts = [];
        for (int draw = 0; draw < MostDraws && (draw == 0 || parts.Any(part => part.Length < least)); draw++) parts = Cut(order, DirichletDraw.Symmetric(clients, alpha, generator));
        return parts;
    }

    /// <summary>Client k, counted from 1, has a share in proportion to k^−exponent.</summary>
    public static int[][] PowerLaw(int count, int clients, double exponent, SeededGenerator generator) =>
        Cut(generator.Order(count), Enumerable.Range(1, clients).Select(client => Math.Pow(client, -exponent)));

    /// <summary>Consecutive pieces of equal length, give or take one.</summary>
    public static int[][] Cut(int[] order, int pieces) => [.. Enumerable.Range(0, pieces).Select(piece => order[(int)((long)piece * order.Length / pieces)..(int)((piece + 1L) * order.Length / pieces)])];

    /// <summary>Consecutive pieces in proportion to the shares; all of <paramref name="order"/> is used.</summary>
    public static int[][] Cut(int[] order, IEnumerable<double> shares)
    {
        double[] all = [.. shares];
        double total = all.Sum(), before = 0;
        int[][] parts = new int[all.Length][];
        int start = 0;
        for (int i = 0; i < all.Length; i++)
        {
            before += all[i];
            int end = i == all.Length - 1 ? order.Length : Math.Clamp((int)Math.Round(before / total * order.Length), start, order.Length);
            parts[i] = order[start..end];
            start = end;
        }

        return parts;
    }
}
