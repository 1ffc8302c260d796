using System.Globalization;
using System.Text.Json;

namespace Federation.Cli.Tests;

[Collection(SecureFederation.Name)]
public sealed class StatisticsVerbTests(SecureFederation life)
{
    [Fact]
    public async Task DataStats_ThreeSites_AreTheStatisticsOfAllTheirRows()
    {
        Assert.True(life.Statistics.ExitCode == 0, life.Statistics.Error);
        await OutputSchema.AssertValidAsync("data-stats", life.Statistics.Output);
        string[][] rows = [.. SecureFederation.Sites.SelectMany(site => File.ReadLines(life.Workspace[$"{site}.csv"]).Skip(1)).Select(line => line.Split(','))];
        double[] chol = [.. rows.Where(row => row[1] != "?").Select(row => double.Parse(row[1], CultureInfo.InvariantCulture)).Order()];
        JsonElement statistics = life.Statistics.Json.GetProperty("statistics"), column = statistics.GetProperty("columns")[1], numbers = column.GetProperty("numbers");
        Assert.Equal((240, chol.Length, rows.Length - chol.Length), (statistics.GetProperty("rows").GetInt32(), column.GetProperty("count").GetInt32(), column.GetProperty("missing").GetInt32()));
        double mean = chol.Average(), deviation = Math.Sqrt(chol.Sum(value => (value - mean) * (value - mean)) / (chol.Length - 1));
        Assert.Equal(mean, numbers.GetProperty("mean").GetDouble(), 1e-6);
        Assert.Equal(deviation, numbers.GetProperty("standardDeviation").GetDouble(), 1e-4);
        double median = numbers.GetProperty("quantiles").EnumerateArray().Single(quantile => quantile.GetProperty("probability").GetDouble() == 0.5).GetProperty("value").GetDouble();
        Assert.InRange(median, chol[(chol.Length / 2) - 1] - (200.0 / 35), chol[chol.Length / 2] + (200.0 / 35));
        Assert.Equal(["age", "chol", "cp"], statistics.GetProperty("columns").EnumerateArray().Select(entry => entry.GetProperty("column").GetString()));
    }

    [Fact]
    public async Task DataStats_AnEarlierRun_ShowsItAgainAsText()
    {
        string run = life.Statistics.Json.GetProperty("run").GetString()!;
        FedResult shown = await life.OperateAsync("data", "stats", "--run", run), detail = await life.OperateAsync("run", "show", run);
        Assert.Contains("demo: 240 rows of alpha, beta, gamma", shown.Output, StringComparison.Ordinal);
        Assert.Contains(shown.OutputLines, line => line.StartsWith("chol", StringComparison.Ordinal) && line.Contains("mg/dl", StringComparison.Ordinal));
        Assert.Contains($"fed data stats --run {run}", detail.Output, StringComparison.Ordinal);
    }

    [Fact] // of one question the sites open one sum: the answer is known
    public async Task DataStats_TheSameQuestionAgain_NamesTheRunThatHasTheAnswer()
    {
        FedResult again = await life.OperateAsync("data", "stats", "demo.schema.yaml", "--column", "cp", "--column", "age", "--column", "chol", "--bins", "35");
        Assert.Equal(2, again.ExitCode);
        Assert.Contains($"were opened in run {life.Statistics.Json.GetProperty("run").GetString()}", again.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Did you mean 'chol'?", "demo.schema.yaml", "--column", "chool")]
    [InlineData("1 to 1000", "demo.schema.yaml", "--bins", "0")]
    [InlineData("at least 3 sites", "demo.schema.yaml", "--min-contributors", "2")]
    [InlineData("Name a data schema")]
    [InlineData("has opened no statistics", "--run", "RUN")]
    public async Task DataStats_WrongQuestion_SaysWhatWouldBeRight(string says, params string[] args)
    {
        FedResult wrong = await life.OperateAsync(["data", "stats", .. args.Select(arg => arg == "RUN" ? life.Run : arg)]);
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains(says, wrong.Error, StringComparison.Ordinal);
    }
}
