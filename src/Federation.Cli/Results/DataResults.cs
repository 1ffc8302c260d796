using Federation.Formats.Statistics;

namespace Federation.Cli.Results;

/// <param name="Rows">Rows that are used: training and test.</param>
/// <param name="RowsWithoutLabel">Left out.</param>
internal sealed record DataReport(
    string File, string Schema, int Rows, int TrainRows, int TestRows, int RowsWithoutLabel, IReadOnlyList<ClassCount> Classes, IReadOnlyList<ColumnReport> Columns, IReadOnlyList<string> Features);

/// <param name="Class">The first value that the schema lists for it.</param>
internal sealed record ClassCount(string Class, int TrainRows, int TestRows);

/// <param name="Clipped">Numbers outside the public range, moved to its nearer end.</param>
internal sealed record ColumnReport(string Column, int Missing, int Clipped);

/// <param name="Run">That opened them.</param>
internal sealed record StatisticsReport(string Run, FederatedStatistics Statistics);
