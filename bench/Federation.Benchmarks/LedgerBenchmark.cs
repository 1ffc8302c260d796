using System.Diagnostics;
using System.Globalization;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;

namespace Federation.Benchmarks;

/// <summary>What an append to a ledger of 100,000 reservations takes, each on disk before it answers: with one kind of event, with all events different, and where only privacy loss distributions can say that it still fits the budget.</summary>
internal static class LedgerBenchmark
{
    private const int Records = 100_000, Appends = 300;

    public static int Run()
    {
        Console.WriteLine($"{"",-66}{"median",10}{"99 %",10}{"worst",10} ms");
        Measure("one kind of event, no budget", null, _ => new GaussianEvent(1.1, 0.01));
        Measure("one kind of event, a budget far away", new PrivacyBudget(1000, 1e-5), _ => new GaussianEvent(1.1, 0.01));
        Measure("all events different, a budget far away", new PrivacyBudget(1000, 1e-5), i => new GaussianEvent(1.1 + (i * 1e-6), 0.01));
        // By Rényi divergences the budget is spent before these; by PLD it is not.
        PrivacyEvent step = new GaussianEvent(2, 0.001);
        PldAccountant pld = new();
        double at = pld.AtDelta([new RepeatedEvent(step, Records + (2 * Appends))], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Measure(string.Create(CultureInfo.InvariantCulture, $"one kind of event, the last {2 * Appends} before a budget of ε = {at:F3}"), new PrivacyBudget(at, 1e-5), _ => step);
        return 0;
    }

    private static void Measure(string name, PrivacyBudget? budget, Func<int, PrivacyEvent> one)
    {
        string folder = Directory.CreateTempSubdirectory("fed-bench-").FullName;
        try
        {
            using var ledger = PrivacyLedger.Open(Path.Combine(folder, "ledger.db"), "bench", new(PrivacyUnit.Record, NeighboringRelation.AddOrRemoveOne), TimeProvider.System);
            for (int i = 0; i < Records; i++) ledger.Reserve(Release(one(i)));
            if (budget is not null) ledger.SetBudget(budget);
            double[] times = new double[Appends];
            for (int i = 0; i < Appends; i++)
            {
                long start = Stopwatch.GetTimestamp();
                ledger.Reserve(Release(one(Records + i)));
                times[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }

            Array.Sort(times);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-66}{times[Appends / 2],10:F2}{times[Appends * 99 / 100],10:F2}{times[^1],10:F2}"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Release Release(PrivacyEvent one) => new("bench", 1, "update", "nobody", [one]);
}
