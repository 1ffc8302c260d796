using System.Globalization;

namespace Federation.Cli.Tests;

/// <summary>A temporary folder with a schema, a spec and small synthetic tables.</summary>
internal sealed class Workspace : IDisposable
{
    public const string Schema = """
        name: demo
        testFraction: 0.25
        columns:
          - { name: age, kind: number, unit: years, range: [20, 90] }
          - { name: chol, kind: number, unit: mg/dl, range: [100, 300], missing: "?" }
          - { name: cp, kind: category, categories: [1, 2, 3, 4], reference: 1 }
          - { name: disease, kind: label, categories: [0, 1] }
        """;

    public const string Spec = """
        name: demo
        data: { schema: demo.schema.yaml }
        model: { kind: logistic }
        task: { kind: binary-classification, label: disease }
        rounds: 4
        seed: 42
        cohort: { sites: all, minContributors: 2, deadline: 1m }
        local: { optimizer: { kind: adam, learningRate: 0.05 }, batchSize: 16, epochs: 1 }
        privacy: none
        secureAggregation: none
        evaluate: { every: 2, metrics: [accuracy, auc] }
        """;

    public Workspace()
    {
        Folder = Directory.CreateTempSubdirectory("fed-cli-tests-").FullName;
        Write("demo.schema.yaml", Schema);
        Write("run.yaml", Spec);
    }

    public string Folder { get; }

    public string this[string file] => Path.Combine(Folder, file);

    public void Write(string file, string content) => File.WriteAllText(this[file], content);

    /// <summary>80 patients; risk grows with age and chest pain. Values follow from the seed alone.</summary>
    public void WriteTable(string file, int seed)
    {
        List<string> lines = ["age,chol,cp,disease"];
        ulong state = (ulong)seed;
        for (int i = 0; i < 80; i++)
        {
            double age = 25 + (60 * Next(ref state)), chol = 120 + (160 * Next(ref state));
            int pain = 1 + (int)(4 * Next(ref state));
            double risk = 1 / (1 + Math.Exp(-((age - 55) / 6) - (pain - 2.5)));
            string measured = Next(ref state) < 0.1 ? "?" : chol.ToString("F0", CultureInfo.InvariantCulture);
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"{age:F0},{measured},{pain},{(Next(ref state) < risk ? 1 : 0)}"));
        }

        File.WriteAllLines(this[file], lines);
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>Knuth's 64-bit linear congruential generator; in [0, 1).</summary>
    private static double Next(ref ulong state)
    {
        state = unchecked((state * 6364136223846793005) + 1442695040888963407);
        return (state >> 11) / (double)(1UL << 53);
    }
}
