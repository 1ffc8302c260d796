using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Cli.Verbs;
using Federation.Formats;
using Federation.V1;

namespace Federation.Cli.Tests;

public sealed class ProgressTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(10_000)]
    public void ProgressLines_LongAndTroubledRun_AtMost19LinesAndTheLastRound(int rounds)
    {
        List<string> lines = [];
        var view = new ProgressLines(new RunProgress((uint)rounds), lines.Add);

        for (uint round = 1; round <= rounds; round++)
        {
            view.Show(new RunEvent { Kind = "waiting", Message = "Too few sites." });
            view.Show(new RunEvent { Kind = "round-opened", Round = round });
            view.Show(new RunEvent { Kind = "model", Round = round });
        }

        Assert.InRange(lines.Count, 1, 19);
        Assert.Equal($"round {rounds} of {rounds}", lines[^1]);
    }

    [Fact] // also before anything has happened
    public async Task ProgressBar_FromTheFirstEventToTheLast_IsDrawn()
    {
        string ended = "";
        await ProgressBar.ShowAsync(new RunProgress(2), show =>
        {
            show(new RunEvent { Kind = "submitted", Message = "" });
            show(new RunEvent { Kind = "keys-made", Message = "Key epoch 1: 4 members hold shares." });
            show(new RunEvent { Kind = "model", Round = 1, Message = "[made]" });
            ended = "yes";
            return Task.FromResult<RunDetail>(null!);
        });
        Assert.Equal("yes", ended);
    }

    [Theory]
    [InlineData("auc", 2)]
    [InlineData("log-loss", 1)]
    public void BestModel_EvaluatorAndFederatedDisagree_EvaluatorDecides(string metric, uint round)
    {
        ModelEntry[] models = [Model(1, ("federated", 0.9), ("judge", 0.6)), Model(2, ("federated", 0.7), ("judge", 0.8)), Model(3, ("federated", 0.95))];

        Assert.Equal(round, BestModel.Of(models, metric).Model.Round);
    }

    [Fact]
    public void BestModel_OnlyFederatedFigures_LaterRoundOfEquals()
    {
        Assert.Equal(2u, BestModel.Of([Model(1, ("federated", 0.9)), Model(2, ("federated", 0.9))], "accuracy").Model.Round);
    }

    [Fact]
    public void BestModel_NothingMeasured_SaysWhatToAdd()
    {
        var error = Assert.Throws<InvalidInputException>(() => BestModel.Of([Model(1)], "auc"));

        Assert.Contains("evaluate", error.Problems[0].Repair!, StringComparison.Ordinal);
    }

    [Fact]
    public void Output_MessageWithControlCharacters_BecomesOneHarmlessLine()
    {
        Assert.Equal("a b [31mc", Output.OneLine("a\r\nb\e[31mc"));
    }

    private static ModelEntry Model(uint round, params (string Source, double Value)[] evaluations) =>
        new("r", round, new string('a', 64), 8, default, false, [.. evaluations.Select(entry => new EvaluationEntry(entry.Source, new MetricValues(10, entry.Value, entry.Value, entry.Value, entry.Value)))]);
}
