using System.Diagnostics;
using System.Text.Json;
using Federation.Privacy.SecureAggregation;

namespace Federation.Benchmarks;

/// <summary>
/// One update through encoding, encryption, adding and opening, without rotation and noise: the median of five whole passes after one that warms up.
/// Adding and opening is the coordinator's own <see cref="ContributionSum.WriteMean"/> over three spooled contributions, read from memory: opening with one contribution, and what each of two more adds to it.
/// </summary>
internal static class SecureAggregationBenchmark
{
    private const int Passes = 5, Bits = 14, Contributions = 3;

    public static async Task<int> Run(string[] args)
    {
        int parameters = 25_000_000, cohort = 10, threads = 1;
        bool json = false;
        for (int i = 0; i < args.Length; i++)
        {
            if (args[i] == "--json") json = true;
            else if (i + 1 < args.Length && int.TryParse(args[i + 1], out int value) && value > 0 && args[i] is "--parameters" or "--cohort" or "--threads")
            {
                if (args[i] == "--parameters") parameters = value;
                else if (args[i] == "--cohort") cohort = value;
                else threads = value;
                i++;
            }
            else
            {
                Console.Error.WriteLine($"'{args[i]}' is not an option, or its number is not positive: --parameters N --cohort n --threads T --json.");
                return 2;
            }
        }

        if (cohort is < Contributions or > UpdateLayout.LargestCohort || threads > 1024)
        {
            Console.Error.WriteLine($"A cohort has {Contributions} to {UpdateLayout.LargestCohort} sites, and at most 1024 threads work at once.");
            return 2;
        }

        Random random = new(1);
        float[] update = new float[parameters];
        for (int i = 0; i < update.Length; i++) update[i] = (random.NextSingle() - 0.5f) * 0.0199f;
        // As many bits as the cohort leaves with two fields a coefficient; one field where even that is too little.
        UpdateLayout layout = Layout(cohort);
        UpdateEncoding encoding = new(layout, parameters, clip: 100, weightScale: 0.01f, rotationSeed: null, cut: 0.01, noiseVariance: 0);
        using SpooledRound round = new(encoding, cohort);
        float[] opened = new float[parameters];
        List<(double Encode, double Encrypt, double Add, double Open)> passes = [];
        for (int pass = 0; pass <= Passes; pass++)
        {
            (double encode, double encrypt) = (0, 0);
            // The first is measured; the others are there to be added.
            for (int site = Contributions - 1; site >= 0; site--) (encode, encrypt) = await round.ContributeAsync(site, update, threads);
            double open = round.Open(1, opened, threads);
            for (int i = 0; i < parameters; i += 1009)
            {
                if (Math.Abs(opened[i] - update[i]) > 1.01 * encoding.Grid) throw new InvalidOperationException($"Value {i} came back as {opened[i]}, not {update[i]}.");
            }

            double all = round.Open(Contributions, opened, threads);
            if (pass > 0) passes.Add((encode, encrypt, (all - open) / (Contributions - 1), open));
        }

        Print(json, new()
        {
            ["parameters"] = parameters,
            ["cohort"] = cohort,
            ["encodeSeconds"] = Median(passes.Select(p => p.Encode)),
            ["encryptSeconds"] = Median(passes.Select(p => p.Encrypt)),
            ["addSeconds"] = Median(passes.Select(p => p.Add)),
            ["openSeconds"] = Median(passes.Select(p => p.Open)),
            ["bytesPerParameter"] = round.UploadBytes / (double)parameters,
            ["peakWorkingSetBytes"] = Process.GetCurrentProcess().PeakWorkingSet64,
            ["threads"] = threads,
            ["vector"] = PadEncryptor.VectorBits switch { 512 => "avx512", 256 => "avx2", _ => "scalar" },
        });
        return 0;
    }

    private static UpdateLayout Layout(int cohort)
    {
        for (int bits = Bits; bits > 7; bits--)
        {
            UpdateLayout layout = UpdateLayout.Choose(bits, cohort);
            if (layout.FieldsPerCoefficient > 1) return layout;
        }

        return UpdateLayout.Choose(Bits, cohort);
    }

    private static double Median(IEnumerable<double> values) => values.Order().ElementAt(Passes / 2);

    private static void Print(bool json, Dictionary<string, object> result)
    {
        if (json) Console.WriteLine(JsonSerializer.Serialize(result));
        else
        {
            foreach ((string name, object value) in result) Console.WriteLine($"{name,-20} {(value is double number ? $"{number:F3}" : value)}");
        }
    }
}
