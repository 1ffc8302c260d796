using System.Diagnostics;
using System.Globalization;

namespace Federation.Server.Tests.Simulation;

/// <summary>
/// Simulated days of faults, each from one seed. <c>FED_DAYS</c> sets how many, each after the other from <c>FED_DAY</c>, or from 1; <c>FED_DAY</c> alone runs the one with that seed and prints all that happens in it.
/// Without either: a few that are always the same, and one with a seed of its own.
/// </summary>
public sealed class SimulatedDayTests
{
    private static readonly int? s_day = Number("FED_DAY"), s_days = Number("FED_DAYS");

    private static readonly string[] s_faults =
    [
        "answers lost", "calls while the store is away", "cancellations", "certificates renewed", "clock jumps back", "clock jumps forward", "commits KilledAfter", "commits KilledBefore", "commits LostAfter", "commits LostBefore",
        "coordinator killed between calls", "invitations", "messages doubled", "messages late", "pauses", "requests lost", "resumptions", "revocations", "sites killed", "updates made anew", "uploads cut short", "uploads damaged",
    ];

    [Fact]
    public async Task Day_OfFaults_LosesNothingAndAppliesNothingTwice()
    {
        int[] seeds = s_days is { } days ? [.. Enumerable.Range(s_day ?? 1, days)] : s_day is { } only ? [only] : [1, 2, Random.Shared.Next()];
        SortedDictionary<string, int> counts = new(StringComparer.Ordinal);
        List<string> broken = [];
        foreach (int seed in seeds)
        {
            long began = Stopwatch.GetTimestamp();
            using var day = new SimulatedDay(seed);
            string? wrong = await day.RunAsync();
            string told = string.Create(CultureInfo.InvariantCulture, $"FED_DAY={seed}: {day.Steps} steps, {day.Witness.Rounds} rounds, {day.Witness.Abandoned} abandoned, {day.Counts.GetValueOrDefault("coordinator started")} starts, {day.Trace.Count} lines in {Stopwatch.GetElapsedTime(began).TotalSeconds:0.0} s");
            TestContext.Current.TestOutputHelper?.WriteLine(told);
            if (wrong is not null) broken.Add($"FED_DAY={seed}: {wrong}\n{string.Join('\n', day.Trace.TakeLast(30))}");
            else if (day.Witness.Rounds < 100) broken.Add($"{told}: that is no day's work.");
            foreach ((string what, int times) in day.Counts) counts[what] = counts.GetValueOrDefault(what) + times;
            if (s_day is not null && s_days is null) TestContext.Current.TestOutputHelper?.WriteLine(string.Join('\n', day.Trace));
        }

        TestContext.Current.TestOutputHelper?.WriteLine(string.Join(", ", counts.Select(count => $"{count.Value} {count.Key}")));
        Assert.True(broken.Count == 0, string.Join("\n\n", broken.Take(5)));
        // A simulator in which nothing happens would find nothing.
        if (seeds.Length > 1) Assert.DoesNotContain(s_faults, fault => counts.GetValueOrDefault(fault) == 0);
    }

    [Fact]
    public async Task Day_TheSameSeed_GivesTheSameTrace()
    {
        List<string>[] traces = new List<string>[2];
        for (int i = 0; i < traces.Length; i++)
        {
            using var day = new SimulatedDay(4711, TimeSpan.FromHours(2)); // other keys, another folder
            await day.RunAsync();
            traces[i] = [.. day.Trace];
        }

        Assert.Equal(traces[0], traces[1]);
        Assert.True(traces[0].Count > 500);
    }

    private static int? Number(string variable) => int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int value) ? value : null;
}
