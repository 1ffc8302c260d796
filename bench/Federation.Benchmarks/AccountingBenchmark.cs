using System.Diagnostics;
using System.Globalization;
using Federation.Privacy.Accounting;

namespace Federation.Benchmarks;

/// <summary>The PLD accountant beside Google's dp_accounting, on the same machine in the same run.</summary>
internal static class AccountingBenchmark
{
    private const NeighboringRelation Relation = NeighboringRelation.AddOrRemoveOne;
    private const double Delta = 1e-5;
    private const int Repeats = 15;

    public static int Run(string[] args)
    {
        string? reference = null, python = "python3";
        for (int i = 0; i + 1 < args.Length; i += 2)
        {
            if (args[i] == "--reference") reference = args[i + 1];
            else if (args[i] == "--python") python = args[i + 1];
        }

        PldAccountant pld = new();
        List<Measured> measured = [];
        foreach (int steps in (int[])[1000, 10_000])
        {
            RepeatedEvent run = new(new GaussianEvent(1, 0.01), steps);
            double epsilon = 0;
            measured.Add(Measured.Of($"PLD ε, q 0.01, σ 1, {steps} steps", Repeats, () => epsilon = pld.AtDelta([run], Delta, Relation).Epsilon));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ε = {epsilon:R} at {steps} steps"));
        }

        (PrivacyEvent[] Events, double Delta)[] cases = [.. Cases().Take(100)];
        measured.Add(Measured.Of($"{cases.Length} cases of the reference tables, one after another", 3, () =>
        {
            foreach ((PrivacyEvent[] events, double delta) in cases) pld.AtDelta(events, delta, Relation);
        }));
        PrivacyLoss target = new(2, Delta, Relation);
        measured.Add(Measured.Of("noise multiplier for ε = 2, q 0.01, 1000 steps", 5, () => Calibration.NoiseMultiplier(pld, target, noise => [new RepeatedEvent(new GaussianEvent(noise, new(0.01)), 1000)])));
        Measured.Print(measured);
        return reference is null ? 0 : Beside(reference, python);
    }

    /// <summary>The same two compositions by dp_accounting, which prints milliseconds of CPU time.</summary>
    private static int Beside(string folder, string python)
    {
        const string Program = """
            import sys, time
            sys.path.insert(0, sys.argv[1])
            from dp_accounting.pld import privacy_loss_distribution as pld
            for steps in (1000, 10000):
                times = []
                for _ in range(7):
                    begin = time.process_time()
                    epsilon = pld.from_gaussian_mechanism(1.0, sampling_prob=0.01, value_discretization_interval=1e-4).self_compose(steps).get_epsilon_for_delta(1e-5)
                    times.append(1000 * (time.process_time() - begin))
                print(f"dp_accounting, {steps} steps: eps {epsilon!r}, cpu median {sorted(times)[3]:.1f} ms, least {min(times):.1f} ms")
            """;
        using Process process = Process.Start(new ProcessStartInfo(python, ["-c", Program, folder]))!;
        process.WaitForExit();
        return process.ExitCode;
    }

    /// <summary>Rows of tests/reference/dp.</summary>
    private static IEnumerable<(PrivacyEvent[] Events, double Delta)> Cases()
    {
        foreach ((string table, string q, string sigma) in new[] { ("rdp_epsilon", "q", "sigma"), ("sampled_gaussian_epsilon", "sampling_rate", "noise_multiplier") })
        {
            foreach (Dictionary<string, string> row in Read(table)) yield return ([new RepeatedEvent(new GaussianEvent(Number(row, sigma), Number(row, q)), (long)Number(row, "steps"))], Number(row, "delta"));
        }

        foreach (Dictionary<string, string> row in Read("discrete_gaussian")) yield return ([new RepeatedEvent(new DiscreteGaussianEvent(Number(row, "sigma_squared"), (long)Number(row, "sensitivity")), (long)Number(row, "count"))], Number(row, "delta"));
        foreach (Dictionary<string, string> row in Read("laplace_epsilon")) yield return ([new RepeatedEvent(new LaplaceEvent(Number(row, "scale_over_sensitivity"), 1, Number(row, "sampling_rate")), (long)Number(row, "count"))], Number(row, "delta"));
    }

    private static double Number(Dictionary<string, string> row, string column) => double.Parse(row[column], CultureInfo.InvariantCulture);

    private static IEnumerable<Dictionary<string, string>> Read(string table)
    {
        string? root = AppContext.BaseDirectory;
        while (root is not null && !File.Exists(Path.Combine(root, "Federated.sln"))) root = Path.GetDirectoryName(root);
        string[] lines = File.ReadAllLines(Path.Combine(root ?? ".", "tests", "reference", "dp", table + ".csv")), columns = lines[0].Split(',');
        return lines.Skip(1).Select(line => columns.Zip(line.Split(',')).ToDictionary(pair => pair.First, pair => pair.Second));
    }
}
