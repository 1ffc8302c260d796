using System.Globalization;
using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;

namespace Federation.Formats.Statistics;

/// <summary>
/// What is asked of the sites' tables, and in which order their figures stand: the number of rows, then for each column the missing values and
/// for a number those below and above its public range, the sum, the sum of squares and a histogram; for a category or label the count of each.
/// </summary>
public sealed class StatisticsQuery
{
    /// <summary>Figures of one opening.</summary>
    public static readonly int MostFigures = BfvParameters.ForKeys.Degree / Limbs.Each;

    private const int NumberScalars = 5;

    private readonly DataSchema _schema;

    private StatisticsQuery(IReadOnlyList<Column> columns, int bins, DataSchema schema)
    {
        (Columns, Bins, _schema) = (columns, bins, schema);
        Starts = [.. Columns.Select((_, i) => 1 + Columns.Take(i).Sum(FiguresOf))];
        Figures = 1 + Columns.Sum(FiguresOf);
    }

    public IReadOnlyList<Column> Columns { get; }

    public int Bins { get; }

    /// <summary>How many figures a table gives.</summary>
    public int Figures { get; }

    /// <summary>SHA-256 of all that decides what a row adds; names play in, units and comments do not.</summary>
    public string Sha256 => Sha256Hex.Of(Bytes());

    /// <summary>What a contribution to it is made for.</summary>
    public string Purpose => Opening.StatisticsPrefix + Sha256;

    /// <summary>SHA-256 of query, data set and the version of its data: of one and the same a member opens one sum, in whatever run.</summary>
    public string DataSha256 => Convert.ToHexStringLower(new CanonicalWriter("statistics/data").Field(Bytes()).Field(_schema.Name).Field(_schema.Version ?? "").Hash());

    internal IReadOnlyList<int> Starts { get; }

    /// <summary>The noise under differential privacy. A row moves the number of rows, and for each column its missing values, or of a number one beyond the range, sum, sum of squares and a bin, or a category, each by at most one.</summary>
    /// <param name="run">Has <see cref="RunSpec.Privacy"/>.</param>
    public NoisySums NoiseOf(RunSpec run) =>
        new(Figures, 1 + Columns.Sum(column => column.Kind == ColumnKind.Number ? NumberScalars - 1 : 1), run.Sigma, run.Privacy!.NoisySites(run.Cohort.MinContributors));

    /// <exception cref="InvalidInputException">The spec names a column that the schema has not, or too many figures.</exception>
    public static StatisticsQuery Of(RunSpec spec, DataSchema schema)
    {
        StatisticsSpec asked = spec.Statistics ?? throw new ArgumentException("The spec asks for no statistics.", nameof(spec));
        Column[] there = [.. schema.Columns.Where(column => column.Kind != ColumnKind.Ignore)];
        foreach (string name in asked.Columns ?? [])
        {
            if (there.All(column => column.Name != name)) throw new InvalidInputException(new Problem($"The schema '{schema.Name}' has no column '{name}' that is used.", Field: "statistics.columns", Repair: Nearest.Repair(name, [.. there.Select(column => column.Name)])));
        }

        StatisticsQuery query = new([.. there.Where(column => asked.Columns is null || asked.Columns.Contains(column.Name))], asked.Bins, schema);
        if (query.Figures > MostFigures) throw new InvalidInputException(new Problem($"The columns and bins are {query.Figures} figures; one opening holds {MostFigures}.", Field: "statistics", Repair: "Ask for fewer columns or bins at a time."));
        return query;
    }

    internal int FiguresOf(Column column) => column.Kind == ColumnKind.Number ? NumberScalars + Bins : 1 + column.Categories.Count;

    private byte[] Bytes()
    {
        CanonicalWriter writer = new CanonicalWriter("statistics/query").Field((ulong)Bins).Field((ulong)Columns.Count);
        foreach (Column column in Columns)
        {
            string range = column.Range is var (low, high) ? string.Create(CultureInfo.InvariantCulture, $"{low:R} {high:R}") : "";
            writer.Field(column.Name).Field((ulong)column.Kind).Field(range).Field((ulong)column.Categories.Count);
            foreach (IReadOnlyList<string> category in column.Categories.Append(column.Missing))
            {
                writer.Field((ulong)category.Count);
                foreach (string value in category) writer.Field(RawValue.Canonical(value));
            }
        }

        return writer.ToArray();
    }
}
