using System.Diagnostics;
using Federation.Simulation;
using Spectre.Console;
using static System.FormattableString;

namespace Federation.Cli.Terminal;

/// <summary>A simulation's progress: a bar with the time left on a terminal, at most ten lines elsewhere.</summary>
internal static class SimulationProgress
{
    private const int Steps = 10;

    public static void Show(Output output, int rounds, SimulatedRun run, string label, CancellationToken cancellationToken)
    {
        if (!output.Terminal)
        {
            Lines(output, rounds, run, label, cancellationToken);
            return;
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        console.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context =>
            {
                ProgressTask bar = context.AddTask(Markup.Escape($"{label}round 0/{rounds}"), maxValue: rounds);
                string accuracy = "";
                run.Run(
                    round =>
                    {
                        if (round.Evaluation is { } metrics) accuracy = Invariant($", accuracy {metrics.Accuracy:0.0000}");
                        bar.Value = run.CompletedRounds;
                        bar.Description = Markup.Escape($"{label}round {run.CompletedRounds}/{rounds}{accuracy}");
                    },
                    cancellationToken);
            });
    }

    private static void Lines(Output output, int rounds, SimulatedRun run, string label, CancellationToken cancellationToken)
    {
        long step = (long)run.CompletedRounds * Steps / rounds, clock = Stopwatch.GetTimestamp();
        int before = run.CompletedRounds;
        string accuracy = "";
        run.Run(
            round =>
            {
                if (round.Evaluation is { } metrics) accuracy = Invariant($", accuracy {metrics.Accuracy:0.0000}");
                long now = (long)run.CompletedRounds * Steps / rounds;
                if (now == step) return;
                step = now;
                double left = Stopwatch.GetElapsedTime(clock).TotalSeconds / (run.CompletedRounds - before) * (rounds - run.CompletedRounds);
                output.Note(Invariant($"{label}round {run.CompletedRounds} of {rounds}{accuracy}, about {left:F0} s left"));
            },
            cancellationToken);
    }
}
