using System.Runtime.InteropServices;

namespace Federation.Server.Aggregation;

/// <summary>What a site's model moved by: its update over its weight, read block by block. Under robust rules every site counts the same, so that none outweighs the others by what it claims to have.</summary>
/// <param name="file">At its data; weight·(local − global), float32, little-endian; seekable.</param>
internal sealed class VisibleUpdate(string site, Stream file, ulong weight)
{
    private readonly long _start = file.Position;

    public string Site => site;

    public void Read(Span<float> moved)
    {
        file.ReadExactly(MemoryMarshal.AsBytes(moved));
        for (int i = 0; i < moved.Length; i++) moved[i] = (float)(moved[i] / (double)weight);
    }

    public void Rewind() => file.Position = _start;

    /// <summary>So many coordinates of all updates are held at once: 16,384, or fewer where the updates are many; 64 MiB at most.</summary>
    public static int AtOnce(int updates) => Math.Min(NextModel.BlockLength, Math.Max(1, (1 << 24) / updates));

    /// <summary>The next coordinates of all, one update after the other.</summary>
    public static void ReadAll(IReadOnlyList<VisibleUpdate> updates, Span<float> rows, int coordinates)
    {
        for (int row = 0; row < updates.Count; row++) updates[row].Read(rows.Slice(row * coordinates, coordinates));
    }
}

/// <summary>In each coordinate the mean of what is left when the ⌊βn⌋ largest and the ⌊βn⌋ smallest of n are taken away; with β = ½ the median (Yin, Chen, Kannan, Bartlett 2018, Definitions 1 and 2).</summary>
/// <param name="trim">β, in [0, ½].</param>
internal sealed class TrimmedMean(IReadOnlyList<VisibleUpdate> updates, double trim) : IMeanUpdate
{
    private readonly float[] _rows = new float[updates.Count * VisibleUpdate.AtOnce(updates.Count)], _column = new float[updates.Count];

    public void Read(Span<double> mean)
    {
        int most = VisibleUpdate.AtOnce(updates.Count);
        for (; !mean.IsEmpty; mean = mean[Math.Min(most, mean.Length)..])
        {
            int length = Math.Min(most, mean.Length);
            VisibleUpdate.ReadAll(updates, _rows, length);
            for (int i = 0; i < length; i++)
            {
                for (int row = 0; row < updates.Count; row++) _column[row] = _rows[(row * length) + i];
                mean[i] = Middle();
            }
        }
    }

    private double Middle()
    {
        Array.Sort(_column);
        // At least one is left of an odd number, two of an even one.
        int cut = Math.Min((int)((decimal)trim * _column.Length), (_column.Length - 1) / 2);
        double sum = 0;
        foreach (float value in _column.AsSpan(cut, _column.Length - (2 * cut))) sum += value;
        return sum / (_column.Length - (2 * cut));
    }
}

/// <summary>The mean of some of the updates, each as it came or shortened.</summary>
internal sealed class ScaledMean(IReadOnlyList<(VisibleUpdate Update, double Factor)> parts) : IMeanUpdate
{
    private readonly float[] _block = new float[NextModel.BlockLength];

    public void Read(Span<double> mean)
    {
        Span<float> moved = _block.AsSpan(0, mean.Length);
        mean.Clear();
        foreach ((VisibleUpdate update, double factor) in parts)
        {
            update.Read(moved);
            for (int i = 0; i < mean.Length; i++) mean[i] += factor * moved[i];
        }

        for (int i = 0; i < mean.Length; i++) mean[i] /= parts.Count;
    }
}

/// <summary>Multi-Krum: the mean of those updates that lie closest to the others (Blanchard, El Mhamdi, Guerraoui, Stainer 2017, sections 4 and 6).</summary>
internal static class Krum
{
    /// <summary>Reads all updates once for their distances; they are rewound.</summary>
    /// <param name="malicious">f: so many sites may send anything; at least 2f + 3 updates are needed.</param>
    /// <param name="kept">m, 1 to n − f.</param>
    /// <exception cref="AggregationException">There are too few updates.</exception>
    public static IReadOnlyList<VisibleUpdate> Choose(IReadOnlyList<VisibleUpdate> updates, long values, int malicious, int kept)
    {
        int n = updates.Count;
        if (n < (2 * malicious) + 3 || kept > n - malicious) throw new AggregationException($"Krum with {malicious} malicious sites, keeping {kept}, needs {Math.Max((2 * malicious) + 3, kept + malicious)} updates; {n} came.");
        double[,] squares = Squares(updates, values);
        return [.. Enumerable.Range(0, n).OrderBy(Score).Take(kept).Order().Select(i => updates[i])]; // a stable order: of equal scores the first

        double Score(int i) => Enumerable.Range(0, n).Where(j => j != i).Select(j => squares[i, j]).Order().Take(n - malicious - 2).Sum();
    }

    private static double[,] Squares(IReadOnlyList<VisibleUpdate> updates, long values)
    {
        int n = updates.Count, most = VisibleUpdate.AtOnce(n);
        double[,] squares = new double[n, n];
        float[] rows = new float[n * most];
        for (; values > 0; values -= Math.Min(most, values))
        {
            int length = (int)Math.Min(most, values);
            VisibleUpdate.ReadAll(updates, rows, length);
            for (int i = 0; i < n; i++)
            {
                for (int j = 0; j < i; j++) squares[i, j] = squares[j, i] += Square(rows.AsSpan(i * length, length), rows.AsSpan(j * length, length));
            }
        }

        foreach (VisibleUpdate update in updates) update.Rewind();
        return squares;
    }

    private static double Square(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            double difference = (double)a[i] - b[i];
            sum += difference * difference;
        }

        return sum;
    }
}

/// <summary>Updates longer than a bound are shortened to it (Sun, Kairouz, Suresh, McMahan 2019, section 5).</summary>
internal static class NormBound
{
    /// <summary>Reads all updates once for their norms; they are rewound.</summary>
    /// <param name="most">The largest L2 norm of what a site's model moves by.</param>
    public static IReadOnlyList<(VisibleUpdate Update, double Factor)> Shorten(IReadOnlyList<VisibleUpdate> updates, long values, double most)
    {
        float[] block = new float[NextModel.BlockLength];
        return [.. updates.Select(update => (update, Factor(update)))];

        double Factor(VisibleUpdate update)
        {
            double square = 0;
            for (long left = values; left > 0; left -= Math.Min(block.Length, left))
            {
                Span<float> moved = block.AsSpan(0, (int)Math.Min(block.Length, left));
                update.Read(moved);
                foreach (float value in moved) square += (double)value * value;
            }

            update.Rewind();
            return square <= most * most ? 1 : most / Math.Sqrt(square);
        }
    }
}
