using System.Diagnostics;

namespace Federation.Cli.Tests;

/// <param name="Identical">Every round of every run gave the model of the undisturbed run, and every run was completed.</param>
/// <param name="Kills">How often each process was killed, by name; <c>coordinator</c> is one.</param>
/// <param name="Differences">What was not as it should be, one sentence each.</param>
internal sealed record KillReport(bool Identical, int Count, IReadOnlyDictionary<string, int> Kills, int Runs, int RoundsPerRun, double Seconds, ulong Seed, IReadOnlyList<string> Differences);

/// <summary>
/// Runs with secure aggregation and without differential privacy, while coordinator and nodes, real processes, are killed (-9) at random moments and started again at once; each beside the same run undisturbed in a federation of its own.
/// Models have to be the same bytes, each round's: nothing is lost, nothing counts twice.
/// </summary>
/// <remarks>Of its own, because a site never encrypts the same integers twice: the second run of a spec in one federation is rounded otherwise.</remarks>
internal static class KilledRuns
{
    /// <param name="count">Kills in all. Runs, each with another seed, follow one another until they are used up.</param>
    /// <param name="seed">Of moments and victims.</param>
    /// <param name="say">Told of every run's end.</param>
    public static async Task<KillReport> CompareAsync(int count, int rounds, ulong seed, Action<string> say)
    {
        long start = Stopwatch.GetTimestamp();
        var random = new Random(unchecked((int)seed)); // nothing secret
        await using KilledFederation undisturbed = await KilledFederation.StartAsync(random), disturbed = await KilledFederation.StartAsync(random);
        List<string> differences = [];
        int runs = 0;
        while (disturbed.Kills.Values.Sum() is var done && done < count && differences.Count == 0)
        {
            runs++;
            string[] right = await undisturbed.RunAsync(rounds, runs, 0, differences), models = await disturbed.RunAsync(rounds, runs, count - done, differences);
            if (right.Length != rounds + 1) differences.Add($"The undisturbed run {runs} gave {right.Length} models; {rounds + 1} are right.");
            for (int i = 0; i < Math.Max(models.Length, right.Length); i++)
            {
                (string? left, string? other) = (right.ElementAtOrDefault(i), models.ElementAtOrDefault(i));
                if (left != other) differences.Add($"Run {runs}, round {i}: the model is {other ?? "missing"}, undisturbed {left ?? "missing"}.");
            }

            say($"{disturbed.Kills.Values.Sum()} of {count} kills, run {runs}: {(differences.Count == 0 ? "identical" : "different")}");
        }

        return new KillReport(differences.Count == 0, disturbed.Kills.Values.Sum(), disturbed.Kills, runs, rounds, Math.Round(Stopwatch.GetElapsedTime(start).TotalSeconds, 1), seed, differences);
    }
}
