using System.Globalization;
using Federation.Formats;

namespace Federation.Samples;

/// <summary>What the user typed, of what every sample takes.</summary>
public sealed record SampleOptions(ulong Seed, string Out, bool Json, bool Tune, bool Help, PrivacyChoice Privacy)
{
    private static readonly string[] Flags = ["--seed", "--epsilon", "--noise", "--no-privacy", "--insecure-seeded-noise", "--secure-aggregation", "--out", "--json", "--help"];

    /// <param name="sample">Names the folder of results: out/&lt;sample&gt;.</param>
    /// <param name="own">The sample's own flags, each with what takes its value.</param>
    /// <exception cref="InvalidInputException">A flag or value is unknown, or two contradict each other.</exception>
    public static SampleOptions Parse(string[] args, string sample, IReadOnlyDictionary<string, Action<string>>? own = null)
    {
        var parsed = new SampleOptions(42, Path.Combine("out", sample), false, false, false, new PrivacyChoice());
        for (int i = 0; i < args.Length; i++)
        {
            if (own?.GetValueOrDefault(args[i]) is { } take)
            {
                take(Value(args, ref i));
                continue;
            }

            PrivacyChoice privacy = parsed.Privacy;
            parsed = args[i] switch
            {
                "tune" => parsed with { Tune = true },
                "--json" => parsed with { Json = true },
                "--help" or "-h" => parsed with { Help = true },
                "--seed" => parsed with { Seed = SeedOf(Value(args, ref i)) },
                "--out" => parsed with { Out = Value(args, ref i) },
                "--epsilon" => parsed with { Privacy = privacy with { Epsilon = EpsilonOf(Value(args, ref i)) } },
                "--noise" => parsed with { Privacy = privacy with { OwnNoise = IsSecond("--noise", Value(args, ref i), "shared", "own") } },
                "--no-privacy" => parsed with { Privacy = privacy with { NoPrivacy = true } },
                "--insecure-seeded-noise" => parsed with { Privacy = privacy with { InsecureSeededNoise = true } },
                "--secure-aggregation" => parsed with { Privacy = privacy with { InTheClear = IsSecond("--secure-aggregation", Value(args, ref i), "threshold-bfv", "none") } },
                var other => throw new InvalidInputException(new Problem($"'{other}' is no option.", Repair: Nearest.Repair(other, [.. Flags, .. own?.Keys ?? []]))),
            };
        }

        if (parsed.Privacy is { NoPrivacy: true, IsAsked: true }) throw new InvalidInputException(new Problem("--epsilon and --noise say how private the run is.", Field: "--no-privacy", Repair: "Leave out one or the other."));
        if (parsed.Privacy is { NoPrivacy: true, InsecureSeededNoise: true }) throw new InvalidInputException(new Problem("A run without differential privacy has no noise, and repeats.", Field: "--insecure-seeded-noise", Repair: "Leave it out."));
        return parsed;
    }

    private static string Value(string[] args, ref int i) => i + 1 < args.Length ? args[++i] : throw new InvalidInputException(new Problem("needs a value.", Field: args[i]));

    private static ulong SeedOf(string text) => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed)
        ? seed
        : throw new InvalidInputException(new Problem($"'{text}' is no seed.", Field: "--seed", Repair: "A whole number from 0 on is right."));

    private static double EpsilonOf(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double epsilon) && epsilon is > 0 and <= 1000
        ? epsilon
        : throw new InvalidInputException(new Problem($"'{text}' is no ε.", Field: "--epsilon", Repair: "A number above 0, up to 1000, is right."));

    private static bool IsSecond(string flag, string text, string first, string second) => text == second || (text == first
        ? false
        : throw new InvalidInputException(new Problem($"'{text}' is no mode.", Field: flag, Repair: Nearest.Repair(text, [first, second]))));
}

/// <param name="Epsilon">In place of the spec's ε.</param>
/// <param name="OwnNoise">Every site adds all the noise that its own records need.</param>
/// <param name="InsecureSeededNoise">The noise follows from the seed, so that the run repeats; nothing is private.</param>
/// <param name="InTheClear">Without secure aggregation.</param>
public sealed record PrivacyChoice(bool NoPrivacy = false, double? Epsilon = null, bool OwnNoise = false, bool InTheClear = false, bool InsecureSeededNoise = false)
{
    /// <summary>A flag says how private the run is.</summary>
    public bool IsAsked => Epsilon is not null || OwnNoise;
}
