using System.Globalization;
using CsCheck;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Formats.Statistics;
using Federation.Learning.Data;
using MathNet.Numerics.Statistics;

namespace Federation.Learning.Tests;

/// <summary>Statistics from sums of several tables beside those of all rows at once, computed by a statistics library.</summary>
public sealed class TableStatisticsTests : IDisposable
{
    private const string SchemaYaml = """
        name: t
        columns:
          - { name: x, kind: number, unit: mm, range: [-5, 15], missing: ["?", -9] }
          - { name: c, kind: category, categories: [red, [green, lime]], missing: "?" }
          - { name: ward, kind: ignore }
          - { name: y, kind: label, categories: [0, 1] }
        """;

    private const string SpecYaml = "name: s\ndata: { schema: t }\nstatistics: { bins: 40 }\ncohort: { minContributors: 3, deadline: 5s }";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-statistics");

    private static DataSchema Schema => DataSchema.Parse(SchemaYaml, "schema");

    private static StatisticsQuery Query => StatisticsQuery.Of(RunSpec.Parse(SpecYaml, "spec"), Schema);

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact] // any values in the range, in any number of tables: exact counts, mean and deviation to 1e-7 of the range, quantiles to a bin
    public void Sums_OfSeveralTables_GiveTheStatisticsOfAllRows() =>
        Gen.Double[-5, 15].Array[0, 60].Array[3, 6].Sample(
            tables =>
            {
                double[] all = [.. tables.SelectMany(table => table)];
                FederatedStatistics statistics = Federate(tables.Select(table => string.Concat(table.Select(value => Row(value.ToString("R", CultureInfo.InvariantCulture), "lime", "1")))));
                ColumnStatistics x = statistics.Columns[0];
                Assert.Equal(((ulong)all.Length, (ulong)all.Length), (statistics.Rows, x.Count));
                if (all.Length == 0)
                {
                    Assert.Null(x.Numbers!.Mean);
                    return;
                }

                Assert.Equal(all.Mean(), x.Numbers!.Mean!.Value, 20e-7);
                if (all.Length > 1) Assert.Equal(all.StandardDeviation(), x.Numbers.StandardDeviation!.Value, 20e-5);
                double[] sorted = [.. all.Order()];
                foreach (Quantile quantile in x.Numbers.Quantiles)
                {
                    // The smallest value with at least that share at or below it lies in the same bin.
                    double exact = sorted[Math.Max(0, (int)Math.Ceiling((quantile.Probability * sorted.Length) - 1e-9) - 1)];
                    Assert.Equal(exact, quantile.Value, 0.5 + 1e-9);
                }
            },
            iter: 200);

    [Fact]
    public void Sums_MissingBeyondAndCategories_AreCountedByColumn()
    {
        FederatedStatistics statistics = Federate([Row("?", "red", "0") + Row("-9.0", "green", "1"), Row("-7", "?", "0") + Row("99", "lime", "1"), Row("0", "red", "1")]);
        ColumnStatistics x = statistics.Columns[0], c = statistics.Columns[1], y = statistics.Columns[2];
        Assert.Equal((5ul, 3ul, 2ul), (statistics.Rows, x.Count, x.Missing));
        Assert.Equal((1ul, 1ul, 10.0 / 3), (x.Numbers!.Below, x.Numbers.Above, Math.Round(x.Numbers.Mean!.Value, 6) + (10.0 / 3) - Math.Round(10.0 / 3, 6))); // −5, 15 and 0
        Assert.Equal([new CategoryCount("red", 2), new CategoryCount("green", 2)], c.Categories!);
        Assert.Equal((4ul, 1ul), (c.Count, c.Missing));
        Assert.Equal([new CategoryCount("0", 2), new CategoryCount("1", 3)], y.Categories!);
        Assert.Equal(["x", "c", "y"], statistics.Columns.Select(column => column.Column));
    }

    [Fact]
    public void Table_WithValuesThatFitNoRule_NamesEveryLine()
    {
        InvalidInputException wrong = Assert.Throws<InvalidInputException>(() => Sums("x,c,y\n1,red,0\nmany,red,0\n1,blue,0\n1,red\n"));
        Assert.Equal([(3, "x"), (4, "c"), (5, "row")], wrong.Problems.Select(problem => (problem.Line!.Value, problem.Field)));
    }

    [Fact] // private statistics choose the schema too: whether rows fit it is nothing that they may learn
    public void Table_WithValuesThatFitNoRule_CountsThemAsMissingWherePrivate()
    {
        Assert.Equal(
            Sums("x,c,y\n1,red,0\n?,red,0\n1,?,0\n").ToNumbers(),
            Sums("x,c,y\n1,red,0\nmany,red,0\n1,blue,0\n1,red\n", isPrivate: true).ToNumbers());
    }

    [Theory] // figures that no sites' tables give: somebody sent something else
    [InlineData(0, 5)]
    [InlineData(1, 9)]
    [InlineData(4, 1 << 19)]
    [InlineData(6, 7)]
    public void Opened_SumsThatCannotBe_AreRefused(int figure, int limb)
    {
        ulong[] opened = Opened([Row("1", "red", "0"), Row("2", "red", "0")]);
        opened[(3 * figure) + (figure == 4 ? 2 : 0)] += (ulong)limb;
        Assert.Contains("cannot be right", Assert.Throws<ArgumentException>(() => FederatedStatistics.Of(Query, Schema, ["a"], opened)).Message, StringComparison.Ordinal);
    }

    private static string Row(string x, string c, string y) => $"{x},{c},{y}\n";

    private FederatedStatistics Federate(IEnumerable<string> tables) => FederatedStatistics.Of(Query, Schema, ["a", "b", "c"], Opened(tables));

    private ulong[] Opened(IEnumerable<string> tables) => tables.Select(rows => Sums("x,c,y\n" + rows).ToNumbers()).Aggregate((a, b) => [.. a.Zip(b, (one, other) => one + other)]);

    private TableSums Sums(string text, bool isPrivate = false)
    {
        string path = Path.Combine(_folder.FullName, $"{Guid.NewGuid()}.csv"); // samples run at once
        File.WriteAllText(path, text);
        return TableStatistics.Of(new DataSource("t", path), Schema, Query, isPrivate);
    }
}
