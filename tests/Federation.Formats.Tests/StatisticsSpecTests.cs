using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Formats.Statistics;

namespace Federation.Formats.Tests;

public sealed class StatisticsSpecTests
{
    public const string Good = """
        name: heart-statistics
        data: { schema: heart-disease.schema.yaml }
        statistics: { columns: [age, chol], bins: 20, privacy: { noise: shared, noiseMultiplier: auto, delta: 1e-5, maxEpsilon: 1 } }
        cohort: { minContributors: 3, deadline: 10m }
        secureAggregation: threshold-bfv
        """;

    private static DataSchema Schema => DataSchema.Parse(DataSchemaTests.Good, "schema");

    [Fact]
    public void Parse_Statistics_TrainNothing()
    {
        RunSpec spec = RunSpec.Parse(Good, "run.yaml");
        Assert.Equal((NoiseSource.Shared, 1e-5, 1.0, 1), (spec.Privacy!.Noise, spec.Privacy.Delta, spec.Privacy.MaxEpsilon, spec.Privacy.MaxColluding));
        Assert.Equal(("age chol", 20, 1), (string.Join(' ', spec.Statistics!.Columns!), spec.Statistics.Bins, spec.Rounds));
        Assert.NotNull(spec.SecureAggregation);
        Assert.Null(spec.Task);
    }

    [Theory]
    [InlineData("secureAggregation: threshold-bfv", "secureAggregation: none", 5, "secureAggregation", "opened only as sums")]
    [InlineData("columns: [age, chol]", "columns: []", 3, "statistics.columns", "names no column")]
    [InlineData("[age, chol]", "[age, age]", 3, "statistics.columns", "stands twice")]
    [InlineData("bins: 20", "bins: 0", 3, "statistics.bins", "1 to 1000")]
    [InlineData("bins: 20", "bin: 20", 3, "statistics.bin", "Did you mean 'bins'?")]
    [InlineData("secureAggregation: threshold-bfv", "rounds: 3", 5, "rounds", "trains nothing")]
    [InlineData("minContributors: 3", "minContributors: 2", 4, "cohort", "at least 3 sites")]
    public void Parse_WrongStatistics_NamesLineAndField(string right, string wrong, int line, string field, string says)
    {
        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(Good.Replace(right, wrong, StringComparison.Ordinal), "run.yaml")).Problems);
        Assert.Equal((line, field), (problem.Line, problem.Field));
        Assert.Contains(says, problem.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Query_UnknownColumn_NamesTheNearest()
    {
        RunSpec spec = RunSpec.Parse(Good.Replace("chol", "choll", StringComparison.Ordinal), "run.yaml");
        Assert.Contains("Did you mean 'chol'?", Assert.Throws<InvalidInputException>(() => StatisticsQuery.Of(spec, Schema)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Query_TooManyFigures_SaysHowMany()
    {
        RunSpec spec = RunSpec.Parse(Good.Replace("columns: [age, chol], bins: 20", "bins: 1000", StringComparison.Ordinal), "run.yaml");
        StatisticsQuery.Of(spec, Schema);
        DataSchema wide = Schema with { Columns = [.. Enumerable.Range(0, 3).Select(i => Schema.Columns[0] with { Name = $"c{i}" })] };
        Assert.Contains("3016 figures; one opening holds 2730", Assert.Throws<InvalidInputException>(() => StatisticsQuery.Of(spec, wide)).Message, StringComparison.Ordinal);
    }

    [Fact] // of one query and version a member opens one sum
    public void Query_Hashes_ChangeWithWhatARowAddsAndWithTheVersion()
    {
        StatisticsQuery query = StatisticsQuery.Of(RunSpec.Parse(Good, "x"), Schema);
        StatisticsQuery newer = StatisticsQuery.Of(RunSpec.Parse(Good, "x"), Schema with { Version = "2" });
        StatisticsQuery finer = StatisticsQuery.Of(RunSpec.Parse(Good.Replace("20", "21", StringComparison.Ordinal), "x"), Schema);
        StatisticsQuery renamedRun = StatisticsQuery.Of(RunSpec.Parse(Good.Replace("heart-statistics", "again", StringComparison.Ordinal), "x"), Schema);
        Assert.Equal((query.Sha256, query.DataSha256), (renamedRun.Sha256, renamedRun.DataSha256));
        Assert.Equal(query.Sha256, newer.Sha256);
        Assert.NotEqual(query.DataSha256, newer.DataSha256);
        Assert.NotEqual(query.Sha256, finer.Sha256);
    }
}
