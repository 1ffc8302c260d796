using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Privacy.Mechanisms;

namespace Federation.Formats.Statistics;

/// <summary>One site's figures for a query, row by row. Each row moves each figure by a bounded step: numbers count within their public range alone.</summary>
public sealed class TableSums(StatisticsQuery query)
{
    /// <summary>A number's place in its range, [0, 1], is counted in steps of 2⁻³⁰.</summary>
    internal const double Steps = 1 << 30;

    private readonly ulong[] _figures = new ulong[query.Figures];

    public IReadOnlyList<ulong> Figures => _figures;

    public void AddRow() => _figures[0]++;

    public void AddMissing(int column) => _figures[query.Starts[column]]++;

    /// <summary>A value beyond the range counts as the nearer bound, and as one that was beyond.</summary>
    public void AddNumber(int column, double value)
    {
        (double low, double high) = query.Columns[column].Range!.Value;
        int start = query.Starts[column];
        if (value < low) _figures[start + 1]++;
        if (value > high) _figures[start + 2]++;
        double place = (Math.Clamp(value, low, high) - low) / (high - low);
        _figures[start + 3] += (ulong)Math.Round(place * Steps);
        _figures[start + 4] += (ulong)Math.Round(place * place * Steps);
        _figures[start + 5 + Math.Min(query.Bins - 1, (int)(place * query.Bins))]++;
    }

    /// <param name="category">Index among the column's categories.</param>
    public void AddCategory(int column, int category) => _figures[query.Starts[column] + 1 + category]++;

    /// <summary>As numbers that are encrypted and summed, with this site's part of the noise.</summary>
    /// <exception cref="ArgumentException">A figure is 2³⁸ or more.</exception>
    public ulong[] ToNumbers(NoisySums noise, SecureRandom random)
    {
        double[] figures = [.. _figures];
        for (int column = 0; column < query.Columns.Count; column++)
        {
            if (query.Columns[column].Kind != ColumnKind.Number) continue;
            figures[query.Starts[column] + 3] /= Steps;
            figures[query.Starts[column] + 4] /= Steps;
        }

        return noise.Hide(figures, random);
    }

    /// <summary>As numbers that are encrypted and summed.</summary>
    /// <exception cref="ArgumentException">A figure is 2⁶⁰ or more: more than 2³⁰ rows.</exception>
    public ulong[] ToNumbers() => Limbs.Split(_figures);
}
