using Federation.Formats.Data;
using Federation.Formats.Evaluation;

namespace Federation.Formats.Statistics;

/// <summary>Statistics over all rows of several sites, from sums alone.</summary>
/// <param name="Sites">Whose sums were opened together.</param>
/// <param name="NoiseDeviation">Standard deviation of the noise in every count, before counts of one column were made to fit each other; null: they are exact.</param>
public sealed record FederatedStatistics(string Data, string? Version, IReadOnlyList<string> Sites, ulong Rows, IReadOnlyList<ColumnStatistics> Columns, double? NoiseDeviation = null)
{
    private static readonly double[] s_probabilities = [0.05, 0.25, 0.5, 0.75, 0.95];

    /// <param name="opened">The sums that <see cref="TableSums.ToNumbers()"/> of every site gave.</param>
    /// <exception cref="ArgumentException">The sums cannot be right: a site sent something else.</exception>
    public static FederatedStatistics Of(StatisticsQuery query, DataSchema schema, IReadOnlyList<string> sites, ReadOnlySpan<ulong> opened)
    {
        UInt128[] figures = Limbs.Join(opened, query.Figures, UInt128.MaxValue >> 20);
        ulong rows = Count(figures[0], ulong.MaxValue >> 8);
        return new(schema.Name, schema.Version, sites, rows, [.. query.Columns.Select((column, i) => Of(column, query, figures.AsSpan(query.Starts[i], query.FiguresOf(column)), rows))]);
    }

    /// <summary>From sums with noise: whatever contradicts itself (counts below zero, a mean beyond the range) is moved to the nearest that does not.</summary>
    /// <param name="opened">The sums that <see cref="TableSums.ToNumbers(NoisySums, Privacy.Mechanisms.SecureRandom)"/> of every site gave.</param>
    /// <exception cref="ArgumentException">The sums cannot be right: a site sent something else.</exception>
    public static FederatedStatistics Noisy(StatisticsQuery query, NoisySums noise, DataSchema schema, IReadOnlyList<string> sites, ReadOnlySpan<ulong> opened)
    {
        double[] figures = noise.Open(opened, sites.Count);
        double rows = Math.Max(0, figures[0]);
        return new(schema.Name, schema.Version, sites, Whole(rows), [.. query.Columns.Select((column, i) => Noisy(column, query, figures.AsSpan(query.Starts[i], query.FiguresOf(column)), rows))], noise.Deviation(sites.Count));
    }

    private static ColumnStatistics Noisy(Column column, StatisticsQuery query, ReadOnlySpan<double> figures, double rows)
    {
        bool isNumber = column.Kind == ColumnKind.Number;
        double missing = Math.Round(Math.Clamp(figures[0], 0, rows)), count = Math.Max(0, Math.Round(rows) - missing);
        ulong[] counts = [.. NoisySums.Counts(figures[^(isNumber ? query.Bins : column.Categories.Count)..]).Select(Whole)];
        if (!isNumber) return OfCategories(column, Whole(count), Whole(missing), counts);
        double sum = Math.Clamp(figures[3], 0, count), squares = Math.Clamp(figures[4], count == 0 ? 0 : sum * sum / count, sum);
        return OfNumbers(column, query, Whole(count), Whole(missing), Whole(Math.Clamp(figures[1], 0, count)), Whole(Math.Clamp(figures[2], 0, count)), sum, squares, counts);
    }

    private static ulong Whole(double count) => (ulong)Math.Round(count);

    private static ColumnStatistics Of(Column column, StatisticsQuery query, ReadOnlySpan<UInt128> figures, ulong rows)
    {
        ulong missing = Count(figures[0], rows), count = rows - missing;
        ulong[] counts = new ulong[column.Kind == ColumnKind.Number ? query.Bins : column.Categories.Count];
        for (int i = 0; i < counts.Length; i++) counts[i] = Count(figures[^(counts.Length - i)], count);
        if (counts.Aggregate(UInt128.Zero, (sum, one) => sum + one) != count) throw Wrong(column);
        if (column.Kind != ColumnKind.Number) return OfCategories(column, count, missing, counts);
        double sum = (double)figures[3] / TableSums.Steps, squares = (double)figures[4] / TableSums.Steps;
        // v² ≤ v on [0, 1], each rounded to half a step.
        if (sum > count || squares > sum + (count / TableSums.Steps)) throw Wrong(column);
        return OfNumbers(column, query, count, missing, Count(figures[1], count), Count(figures[2], count), sum, squares, counts);
    }

    private static ColumnStatistics OfCategories(Column column, ulong count, ulong missing, ulong[] counts) =>
        new(column.Name, Kind(column), null, count, missing, Categories: [.. column.Categories.Select((values, i) => new CategoryCount(values[0], counts[i]))]);

    /// <param name="sum">Of the values' places in their range, [0, 1].</param>
    /// <param name="squares">Of the squares of these.</param>
    private static ColumnStatistics OfNumbers(Column column, StatisticsQuery query, ulong count, ulong missing, ulong below, ulong above, double sum, double squares, ulong[] counts)
    {
        (double low, double high) = column.Range!.Value;
        double width = high - low;
        double? mean = count == 0 ? null : low + (width * sum / count);
        double? deviation = count < 2 ? null : width * Math.Sqrt(Math.Max(0, (squares - (sum * sum / count)) / (count - 1)));
        Quantile[] quantiles = count == 0 ? [] : [.. s_probabilities.Select(probability => new Quantile(probability, QuantileOf(probability, counts, low, width / query.Bins)))];
        NumberStatistics numbers = new(mean, deviation, below, above, quantiles, new Histogram(low, high, counts));
        return new(column.Name, Kind(column), column.Unit, count, missing, numbers);
    }

    /// <summary>Values of a bin are taken to lie evenly in it.</summary>
    private static double QuantileOf(double probability, ulong[] counts, double low, double width)
    {
        double wanted = probability * counts.Sum(one => (double)one), before = 0;
        for (int bin = 0; bin < counts.Length; bin++)
        {
            if (counts[bin] > 0 && before + counts[bin] >= wanted) return low + (width * (bin + ((wanted - before) / counts[bin])));
            before += counts[bin];
        }

        return low + (width * counts.Length);
    }

    private static string Kind(Column column) => column.Kind.ToString().ToLowerInvariant();

    private static ulong Count(UInt128 figure, ulong largest) => figure <= largest ? (ulong)figure : throw new ArgumentException($"The opened sums cannot be right: a count of {figure}, of {largest}.");

    private static ArgumentException Wrong(Column column) => new($"The opened sums of '{column.Name}' cannot be right: a site sent something else.");
}

/// <param name="Count">Rows with a value.</param>
/// <param name="Numbers">Null for a category or label.</param>
/// <param name="Categories">Null for a number.</param>
public sealed record ColumnStatistics(string Column, string Kind, string? Unit, ulong Count, ulong Missing, NumberStatistics? Numbers = null, IReadOnlyList<CategoryCount>? Categories = null);

/// <param name="Mean">Of values moved into the range; null without any.</param>
/// <param name="StandardDeviation">With n − 1; null below two values.</param>
/// <param name="Below">Values below the range, counted as its lower bound.</param>
/// <param name="Above">Values above it, counted as its upper bound.</param>
/// <param name="Quantiles">From the histogram: right to one bin.</param>
public sealed record NumberStatistics(double? Mean, double? StandardDeviation, ulong Below, ulong Above, IReadOnlyList<Quantile> Quantiles, Histogram Histogram);

public sealed record Quantile(double Probability, double Value);

/// <param name="Counts">Of equal bins over [<paramref name="Low"/>, <paramref name="High"/>].</param>
public sealed record Histogram(double Low, double High, IReadOnlyList<ulong> Counts);

/// <param name="Category">Its first value in the schema.</param>
public sealed record CategoryCount(string Category, ulong Count);
