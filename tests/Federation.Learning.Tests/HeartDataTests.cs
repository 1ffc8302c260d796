using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Learning.Data;

namespace Federation.Learning.Tests;

/// <summary>The four hospitals' real files against the counts that their README publishes.</summary>
public sealed class HeartDataTests
{
    private const string SchemaYaml = """
        name: heart-disease
        header: false
        columns:
          - { name: age, kind: number, range: [20, 90] }
          - { name: sex, kind: category, categories: [0, 1] }
          - { name: cp, kind: category, categories: [1, 2, 3, 4] }
          - { name: trestbps, kind: number, range: [80, 200], missing: "?" }
          - { name: chol, kind: number, range: [100, 600], missing: ["?", 0] }
          - { name: fbs, kind: category, categories: [0, 1], missing: "?" }
          - { name: restecg, kind: category, categories: [0, 1, 2], missing: "?" }
          - { name: thalach, kind: number, range: [60, 210], missing: "?" }
          - { name: exang, kind: category, categories: [0, 1], missing: "?" }
          - { name: oldpeak, kind: number, range: [-3, 7], missing: "?" }
          - { name: slope, kind: category, categories: [1, 2, 3], missing: "?" }
          - { name: ca, kind: number, range: [0, 3], missing: "?" }
          - { name: thal, kind: category, categories: [3, 6, 7], missing: "?" }
          - { name: disease, kind: label, categories: [0, [1, 2, 3, 4]] }
        """;

    private static readonly TaskSpec Task = new(TaskKind.BinaryClassification, "disease");

    [Theory] // rows, healthy rows, then missing by column: trestbps chol fbs restecg thalach exang oldpeak slope ca thal (chol: with the zeros)
    [InlineData("cleveland", 303, 164, "0 0 0 0 0 0 0 0 4 2")]
    [InlineData("hungarian", 294, 188, "1 23 8 1 1 1 0 190 291 266")]
    [InlineData("switzerland", 123, 8, "2 123 75 1 1 1 6 17 118 52")]
    [InlineData("va", 200, 51, "56 56 7 0 53 53 56 102 198 166")]
    public void Load_RealHospital_CountsWhatItsReadmeSays(string site, int rows, int healthy, string missing)
    {
        var source = new DataSource("heart-disease", Path.Combine(TestData.FolderWith("heart-disease"), "heart-disease", $"processed.{site}.data"));
        var set = TabularDataSet.Load(source, DataSchema.Parse(SchemaYaml, "schema"), new DataSpec("schema"), Task);
        Assert.Equal((rows, 0, 0), (set.Train.Count, set.Test.Count, set.RowsWithoutLabel));
        Assert.Equal(healthy, set.Train.Labels.Count(label => label == 0));
        Assert.Equal("0 0 0 " + missing, string.Join(' ', set.Counts.Select(count => count.Missing)));
        Assert.All(set.Train.Features, value => Assert.InRange(value, -1f, 1f));
        Assert.Equal(set.FeatureNames.Count * rows, set.Train.Features.Length);
        Assert.Contains("thal=7", set.FeatureNames);
        Assert.Contains("thal.missing", set.FeatureNames);
    }
}
