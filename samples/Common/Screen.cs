using System.Globalization;
using Federation.Samples.Figures;
using Spectre.Console;

namespace Federation.Samples;

/// <summary>What the user sees: a bar on a terminal, a few lines elsewhere, a table, a verdict as the last line.</summary>
public sealed class Screen(bool json)
{
    private const int MostProgressLines = 10;
    private const int Width = 100;
    private readonly TextWriter _out = json ? Console.Error : Console.Out;
    private readonly IAnsiConsole _console = Create(json ? Console.Error : Console.Out);

    /// <summary>One line, not wrapped.</summary>
    public void Say(string text) => _out.WriteLine(text);

    /// <summary>Shows rounds as they come in.</summary>
    public async Task<T> WithProgressAsync<T>(int rounds, Func<Action<int>, Task<T>> work)
    {
        if (!_console.Profile.Out.IsTerminal)
        {
            int every = Math.Max(1, (rounds + MostProgressLines - 1) / MostProgressLines);
            return await work(done =>
            {
                if (done % every == 0 || done == rounds) Say(string.Create(CultureInfo.InvariantCulture, $"  round {done} of {rounds}"));
            });
        }

        return await _console.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn()).StartAsync(async bars =>
        {
            ProgressTask bar = bars.AddTask($"{rounds} rounds", maxValue: rounds);
            return await work(done => bar.Value = done);
        });
    }

    public void Table(SampleDescription sample, Comparison figures)
    {
        Table table = new Table().Border(TableBorder.Rounded).AddColumn(new TableColumn(sample.Site.One).NoWrap());
        string[] measures = sample.IsUnbalanced ? ["bal.", "AUC"] : ["AUC"];
        foreach (string column in (string[])["rows", "federated", .. measures, "local", .. measures, "pooled", .. measures]) table.AddColumn(new TableColumn(column).RightAligned());
        for (int i = 0; i < sample.Sites.Count; i++) Row(table, sample, sample.Sites[i].Title, figures.TestRows[i], figures.Federated[i], figures.Local[i], figures.Pooled[i]);
        Row(table, sample, "all", figures.TestRows.Sum(), figures.FederatedAll, figures.LocalAll, figures.PooledAll);
        _console.Write(table);
    }

    private static IAnsiConsole Create(TextWriter writer)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });
        if (!console.Profile.Out.IsTerminal) console.Profile.Width = Width;
        return console;
    }

    private static void Row(Table table, SampleDescription sample, string title, int rows, params Figure[] figures)
    {
        List<string> cells = [title, rows.ToString(CultureInfo.InvariantCulture)];
        foreach (Figure figure in figures)
        {
            cells.Add(Text(figure.Accuracy));
            if (sample.IsUnbalanced) cells.Add(Text(figure.BalancedAccuracy));
            cells.Add(Text(figure.Auc));
        }

        table.AddRow([.. cells]);
    }

    private static string Text(double? value) => value?.ToString("0.000", CultureInfo.InvariantCulture) ?? "-";
}
