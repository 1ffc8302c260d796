using System.Globalization;
using Federation.Formats;
using Federation.Samples.Medical.Data;

namespace Federation.Samples.Medical;

/// <summary>What the user typed.</summary>
internal sealed record Arguments(Experiment Experiment, ulong Seed, string Out, bool Json, bool Tune, bool Help, bool NoPrivacy = false)
{
    public const string Usage = """
        One model from four hospitals' heart-disease records, none of which leaves its hospital.

        Usage: dotnet run --project samples/medical -- [options]
               dotnet run --project samples/medical -- tune [--flamby MODE]

          --seed N          weights and data order; the same seed gives the same model (default 42)
          --flamby MODE     standardised or ranges: FLamby's 13 features and rows, scaled per site or by public ranges
          --epsilon X       of each patient's record, at δ = 1e-5 (default 3); FLamby's ranges: at δ = 1e-4
          --noise MODE      shared (default): under secure aggregation the hospitals' parts add up; own: each adds all of it
          --no-privacy      without differential privacy, for comparison; the default of --flamby
          --secure-aggregation MODE  threshold-bfv (default), or none: the coordinator then sees each update
          --out DIR         where results go (default out/medical)
          --json            print metrics.json's document
          tune              choose hyper-parameters: on made-up patients, or with --no-privacy or --flamby by cross-validation over training rows

        Example: dotnet run --project samples/medical -- --flamby ranges --seed 43
        """;

    private static readonly string[] Flags = ["--seed", "--flamby", "--epsilon", "--noise", "--no-privacy", "--secure-aggregation", "--out", "--json", "--help"];

    /// <exception cref="InvalidInputException">A flag or value is unknown.</exception>
    public static Arguments Parse(string[] args)
    {
        var parsed = new Arguments(Experiment.Default, 42, Path.Combine("out", "medical"), false, false, false);
        for (int i = 0; i < args.Length; i++)
        {
            parsed = args[i] switch
            {
                "tune" => parsed with { Tune = true },
                "--json" => parsed with { Json = true },
                "--help" or "-h" => parsed with { Help = true },
                "--seed" => parsed with { Seed = SeedOf(Value(args, ref i)) },
                "--out" => parsed with { Out = Value(args, ref i) },
                "--flamby" => parsed with { Experiment = ExperimentOf(Value(args, ref i)) with { InTheClear = parsed.Experiment.InTheClear, OwnNoise = parsed.Experiment.OwnNoise, Epsilon = parsed.Experiment.Epsilon } },
                "--epsilon" => parsed with { Experiment = parsed.Experiment with { Epsilon = EpsilonOf(Value(args, ref i)) } },
                "--noise" => parsed with { Experiment = parsed.Experiment with { OwnNoise = OwnNoise(Value(args, ref i)) } },
                "--no-privacy" => parsed with { NoPrivacy = true },
                "--secure-aggregation" => parsed with { Experiment = parsed.Experiment with { InTheClear = InTheClear(Value(args, ref i)) } },
                var other => throw new InvalidInputException(new Problem($"'{other}' is no option.", Repair: Nearest.Repair(other, Flags))),
            };
        }

        return parsed with { Experiment = Settled(parsed.Experiment, parsed.NoPrivacy) };
    }

    private static Experiment Settled(Experiment experiment, bool noPrivacy)
    {
        bool asked = experiment.Epsilon is not null || experiment.OwnNoise;
        if (noPrivacy && asked) throw new InvalidInputException(new Problem("--epsilon and --noise say how private the run is.", Field: "--no-privacy", Repair: "Leave out one or the other."));
        experiment = experiment with { IsPrivate = !noPrivacy && (experiment.IsPrivate || asked) };
        if (experiment is { IsPrivate: true, PrivateName: null }) throw new InvalidInputException(new Problem("standardised scales by each site's own mean and deviation, which depend on every patient.", Field: "--flamby", Repair: "Write --flamby ranges with --epsilon."));
        if (experiment is { IsPrivate: true, InTheClear: true, OwnNoise: false }) throw new InvalidInputException(new Problem("none lets the coordinator see each hospital's part of a shared noise, which is too little.", Field: "--secure-aggregation", Repair: "Add --noise own, or --no-privacy."));
        return experiment;
    }

    private static string Value(string[] args, ref int i) => i + 1 < args.Length ? args[++i] : throw new InvalidInputException(new Problem("needs a value.", Field: args[i]));

    private static ulong SeedOf(string text) => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed)
        ? seed
        : throw new InvalidInputException(new Problem($"'{text}' is no seed.", Field: "--seed", Repair: "A whole number from 0 on is right."));

    private static double EpsilonOf(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double epsilon) && epsilon is > 0 and <= 1000
        ? epsilon
        : throw new InvalidInputException(new Problem($"'{text}' is no ε.", Field: "--epsilon", Repair: "A number above 0, up to 1000, is right."));

    private static bool OwnNoise(string text) => text switch
    {
        "shared" => false,
        "own" => true,
        _ => throw new InvalidInputException(new Problem($"'{text}' is no mode.", Field: "--noise", Repair: Nearest.Repair(text, ["shared", "own"]))),
    };

    private static bool InTheClear(string text) => text switch
    {
        "threshold-bfv" => false,
        "none" => true,
        _ => throw new InvalidInputException(new Problem($"'{text}' is no mode.", Field: "--secure-aggregation", Repair: Nearest.Repair(text, ["threshold-bfv", "none"]))),
    };

    private static Experiment ExperimentOf(string text) => text switch
    {
        "standardised" => Experiment.Standardised,
        "ranges" => Experiment.Ranges,
        _ => throw new InvalidInputException(new Problem($"'{text}' is no mode.", Field: "--flamby", Repair: Nearest.Repair(text, ["standardised", "ranges"]))),
    };
}
