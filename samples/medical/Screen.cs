using System.Globalization;
using Federation.Samples.Medical.Data;
using Federation.Samples.Medical.Figures;
using Spectre.Console;

namespace Federation.Samples.Medical;

/// <summary>What the user sees: a bar on a terminal, a few lines elsewhere, a table, a verdict as the last line.</summary>
internal sealed class Screen(bool json)
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

    public void Table(Comparison figures)
    {
        Table table = new Table().Border(TableBorder.Rounded).AddColumn(new TableColumn("hospital").NoWrap());
        foreach (string column in new[] { "rows", "federated", "AUC", "local", "AUC", "pooled", "AUC" }) table.AddColumn(new TableColumn(column).RightAligned());
        for (int i = 0; i < Hospital.All.Count; i++) Row(table, Hospital.All[i].Title, figures.TestRows[i], figures.Federated[i], figures.Local[i], figures.Pooled[i]);
        Row(table, "all", figures.TestRows.Sum(), figures.FederatedAll, figures.LocalAll, figures.PooledAll);
        _console.Write(table);
    }

    private static IAnsiConsole Create(TextWriter writer)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });
        if (!console.Profile.Out.IsTerminal) console.Profile.Width = Width;
        return console;
    }

    private static void Row(Table table, string title, int rows, params Figure[] figures)
    {
        List<string> cells = [title, rows.ToString(CultureInfo.InvariantCulture)];
        foreach (Figure figure in figures)
        {
            cells.Add(figure.Accuracy.ToString("0.000", CultureInfo.InvariantCulture));
            cells.Add(figure.Auc?.ToString("0.000", CultureInfo.InvariantCulture) ?? "-");
        }

        table.AddRow([.. cells]);
    }
}
