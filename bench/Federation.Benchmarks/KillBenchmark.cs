using System.Text.Json;
using Federation.Cli.Tests;

namespace Federation.Benchmarks;

/// <summary><see cref="KilledRuns"/>, as many as one likes.</summary>
internal static class KillBenchmark
{
    public static async Task<int> Run(string[] args)
    {
        bool json = args.Contains("--json");
        string[] numbers = [.. args.Where(arg => arg != "--json")];
        int count = 200, rounds = 20, seed = 1;
        for (int i = 0; i < numbers.Length; i += 2)
        {
            if (i + 1 == numbers.Length || !int.TryParse(numbers[i + 1], out int value) || value < 1 || numbers[i] is not ("--count" or "--rounds" or "--seed"))
            {
                Console.Error.WriteLine($"'{numbers[i]}' is not an option, or its number is not positive: --count N --rounds R --seed S --json.");
                return 2;
            }

            if (numbers[i] == "--count") count = value;
            else if (numbers[i] == "--rounds") rounds = value;
            else seed = value;
        }

        KillReport report = await KilledRuns.CompareAsync(count, rounds, (ulong)seed, Console.Error.WriteLine);
        if (json) Console.WriteLine(JsonSerializer.Serialize(report, JsonSerializerOptions.Web));
        else
        {
            Console.WriteLine($"{Measured.Machine()}; {report.Count} kills ({string.Join(", ", report.Kills.Select(kill => $"{kill.Key} {kill.Value}"))}) in {report.Runs} runs of {rounds} rounds, {report.Seconds} s");
            Console.WriteLine(report.Identical ? "Every model is the same bytes as in the undisturbed run." : string.Join('\n', report.Differences));
        }

        return report.Identical ? 0 : 1;
    }
}
