using Federation.Formats;
using Federation.Samples.Medical.Data;

namespace Federation.Samples.Medical;

/// <summary>What the user typed.</summary>
internal sealed record Arguments(HeartExperiment Experiment, SampleOptions Options)
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
          --insecure-seeded-noise  for experiments: the noise follows from the seed, so that the run repeats, and protects nobody
          --secure-aggregation MODE  threshold-bfv (default), or none: the coordinator then sees each update
          --out DIR         where results go (default out/medical)
          --json            print metrics.json's document
          tune              choose hyper-parameters: on made-up patients, or with --no-privacy or --flamby by cross-validation over training rows

        Example: dotnet run --project samples/medical -- --flamby ranges --seed 43
        """;

    /// <exception cref="InvalidInputException">A flag or value is unknown, or two contradict each other.</exception>
    public static Arguments Parse(string[] args)
    {
        HeartExperiment experiment = HeartExperiment.Default;
        SampleOptions options = SampleOptions.Parse(args, MedicalSample.Name, new Dictionary<string, Action<string>> { ["--flamby"] = text => experiment = ExperimentOf(text) });
        bool isPrivate = !options.Privacy.NoPrivacy && (experiment.IsPrivate || options.Privacy.IsAsked);
        if (isPrivate && experiment.PrivateName is null) throw new InvalidInputException(new Problem("standardised scales by each site's own mean and deviation, which depend on every patient.", Field: "--flamby", Repair: "Write --flamby ranges with --epsilon."));
        return new Arguments(experiment with { IsPrivate = isPrivate }, options);
    }

    private static HeartExperiment ExperimentOf(string text) => text switch
    {
        "standardised" => HeartExperiment.Standardised,
        "ranges" => HeartExperiment.Ranges,
        _ => throw new InvalidInputException(new Problem($"'{text}' is no mode.", Field: "--flamby", Repair: Nearest.Repair(text, ["standardised", "ranges"]))),
    };
}
