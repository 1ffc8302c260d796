using System.Globalization;
using System.Text;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Models;
using TorchSharp;

namespace Federation.EndToEnd.Tests;

/// <summary>Made-up tables that a logistic model can learn: y = 1 where x + noise > 0.5. Visibly synthetic.</summary>
internal static class SyntheticSites
{
    public const string SchemaYaml = """
        name: synthetic
        testFraction: 0.25
        columns:
          - { name: x, kind: number, unit: none, range: [0, 1], missing: "?" }
          - { name: colour, kind: category, categories: [red, green] }
          - { name: y, kind: label, categories: [0, 1] }
        """;

    public static DataSchema Schema => DataSchema.Parse(SchemaYaml, "schema");

    public static string Spec(int rounds = 3, int least = 2, string deadline = "60s", string extra = "", ulong seed = 42, string secure = "none") => $$"""
        name: synthetic
        data: { schema: synthetic.schema.yaml }
        model: { kind: logistic }
        task: { kind: binary-classification, label: y }
        rounds: {{rounds}}
        seed: {{seed}}
        cohort: { sites: all, minContributors: {{least}}, deadline: {{deadline}} }
        local: { optimizer: { kind: adam, learningRate: 0.1 }, batchSize: 16, epochs: 2 }
        secureAggregation: {{secure}}
        {{(extra.Contains("privacy:", StringComparison.Ordinal) ? "" : "privacy: none")}}
        {{extra}}
        """;

    public static ModelState Initial(string spec) => TabularModel.Initial(RunSpec.Parse(spec, "spec"), Schema);

    /// <summary>A site's file in its own folder.</summary>
    public static DataSource Write(string folder, string site, int rows = 120, string? text = null)
    {
        string path = Path.Combine(folder, $"{site}.csv");
        File.WriteAllText(path, text ?? Rows(site, rows));
        return new DataSource("synthetic", path);
    }

    public static TabularLearner Learner(DataSource source) => new([source], torch.CPU);

    private static string Rows(string site, int rows)
    {
        var random = new Random(site.Sum(c => c)); // made-up data, repeatable
        var text = new StringBuilder("x,colour,y\n");
        for (int i = 0; i < rows; i++)
        {
            double x = random.NextDouble();
            int y = x + (random.NextDouble() - 0.5) * 0.2 > 0.5 ? 1 : 0;
            string shown = i % 17 == 0 ? "?" : x.ToString("0.000", CultureInfo.InvariantCulture);
            text.Append(CultureInfo.InvariantCulture, $"{shown},{(i % 3 == 0 ? "red" : "green")},{y}\n");
        }

        return text.ToString();
    }
}
