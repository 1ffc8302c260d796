using System.Globalization;
using System.Reflection;
using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Samples.Data;

namespace Federation.Samples.Mnist;

/// <summary>What the user typed.</summary>
/// <param name="Recipe">File of the spec, without its ending.</param>
/// <param name="Epochs">In place of the spec's; null: the spec's.</param>
internal sealed record Arguments(string Recipe, int? Epochs, SampleOptions Options)
{
    public const string Usage = """
        A perceptron 784-256-128-10 learns MNIST's digits in one place: loss by epoch, accuracy on the 10,000 test images.

        Usage: dotnet run --project samples/mnist -- [options]
               dotnet run --project samples/mnist -- tune

          --recipe NAME     plain (default): Adam at 0.001, batch 64, 10 epochs; tuned: chosen by tune
          --epochs N        in place of the recipe's
          --seed N          weights and data order; the same seed gives the same model (default 42)
          --out DIR         where results go (default out/mnist)
          --json            print metrics.json's document
          tune              compare recipes on 2,000 training images that none of them trains on

        Example: dotnet run --project samples/mnist -- --recipe tuned --seed 0
        """;

    private static readonly string[] s_recipes = ["plain", "tuned"];

    /// <exception cref="InvalidInputException">A flag or value is unknown.</exception>
    public static Arguments Parse(string[] args)
    {
        (string recipe, int? epochs) = ("plain", null);
        SampleOptions options = SampleOptions.Parse(args, MnistSample.Name, new Dictionary<string, Action<string>> { ["--recipe"] = text => recipe = RecipeOf(text), ["--epochs"] = text => epochs = EpochsOf(text) });
        if (options.Privacy != new PrivacyChoice()) throw new InvalidInputException(new Problem("This sample trains in one place, without a federation and without differential privacy.", Repair: "Leave --epsilon, --noise, --no-privacy, --insecure-seeded-noise and --secure-aggregation out; samples/medical and samples/banking have them."));
        return new Arguments(recipe, epochs, options);
    }

    /// <summary>The recipe's spec, with the seed and the epochs asked for.</summary>
    public RunSpec Spec() => Spec(Recipe, Options.Seed) is var spec && Epochs is { } epochs ? spec with { Local = spec.Local with { Epochs = epochs } } : spec;

    public static RunSpec Spec(string recipe, ulong seed) => RunSpec.Parse(EmbeddedFile.Text(Assembly.GetExecutingAssembly(), $"{recipe}.yaml"), $"{recipe}.yaml") with { Seed = seed };

    private static string RecipeOf(string text) => s_recipes.Contains(text) ? text : throw new InvalidInputException(new Problem($"'{text}' is no recipe.", Field: "--recipe", Repair: Nearest.Repair(text, s_recipes)));

    private static int EpochsOf(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int epochs) && epochs is >= 1 and <= 1000
        ? epochs
        : throw new InvalidInputException(new Problem($"'{text}' is no number of epochs.", Field: "--epochs", Repair: "A whole number from 1 to 1000 is right."));
}
