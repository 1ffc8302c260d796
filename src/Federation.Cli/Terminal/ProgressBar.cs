using Federation.Cli.Results;
using Federation.Cli.Verbs;
using Federation.V1;
using Spectre.Console;

namespace Federation.Cli.Terminal;

/// <summary>A run's progress on a terminal: one bar on stderr, notices above it.</summary>
internal static class ProgressBar
{
    public static Task<RunDetail> ShowAsync(RunProgress progress, Func<Action<RunEvent>, Task<RunDetail>> follow)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(context =>
            {
                ProgressTask step = context.AddTask("waiting", maxValue: 1);
                step.IsIndeterminate = true;
                ProgressTask bar = context.AddTask("preparing", maxValue: Math.Max(1, progress.Rounds));
                return follow(happened =>
                {
                    if (progress.Add(happened) is { } notice) console.WriteLine(Output.OneLine(notice));
                    if (progress.Step.Length > 0) step.Description = Markup.Escape(Output.OneLine(progress.Step)); // a task without a name is refused
                    bar.Value = progress.Completed;
                    bar.Description = Markup.Escape($"round {progress.Completed}/{progress.Rounds}{progress.MetricsText}");
                });
            });
    }
}
