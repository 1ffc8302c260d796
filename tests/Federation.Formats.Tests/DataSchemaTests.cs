using Federation.Formats.Data;

namespace Federation.Formats.Tests;

public sealed class DataSchemaTests
{
    public const string Good = """
        name: heart
        header: false
        testFraction: 0.25
        columns:
          - { name: age, kind: number, unit: years, range: [20, 90] }
          - { name: chol, kind: number, unit: mg/dl, range: [100, 600], missing: ["?", 0] }
          - { name: cp, kind: category, categories: [1, 2, [3, 4]], reference: 1, missing: "?" }
          - { name: ward, kind: ignore }
          - { name: disease, kind: label, categories: [0, [1, 2, 3, 4]] }
        """;

    [Fact]
    public void Parse_Example_ReadsEveryField()
    {
        DataSchema schema = DataSchema.Parse(Good, "schema.yaml");
        Assert.Equal(("heart", false, ',', 0.25), (schema.Name, schema.Header, schema.Separator, schema.TestFraction));
        Assert.Equal(["age", "chol", "cp", "ward", "disease"], schema.Columns.Select(column => column.Name));
        Assert.Equal((20.0, 90.0), schema.Columns[0].Range);
        Assert.Equal(["?", "0"], schema.Columns[1].Missing);
        Assert.Equal(2, schema.Columns[2].CategoryOf("4.0"));
        Assert.Null(schema.Columns[2].CategoryOf("5"));
        Assert.Equal(1, schema.Find("disease")!.CategoryOf(" 3 "));
    }

    [Theory]
    [InlineData("range: [20, 90]", "rnge: [20, 90]", 5, "columns[0].rnge", "Did you mean 'range'?")]
    [InlineData("range: [20, 90]", "range: [90, 20]", 5, "columns[0].range", "lowest, highest")]
    [InlineData("range: [20, 90]", "range: [20, .inf]", 5, "columns[0].range", "lowest, highest")]
    [InlineData(", unit: years, range: [20, 90]", "", 5, "columns[0].range", "public bounds")]
    [InlineData("kind: ignore", "kind: ignored", 8, "columns[3].kind", "Did you mean 'ignore'?")]
    [InlineData("categories: [1, 2, [3, 4]]", "categories: [1, 2, [1.0, 4]]", 7, "columns[2].categories", "'1' stands twice")]
    [InlineData("reference: 1", "reference: 9", 7, "columns[2].reference", "none of the categories")]
    [InlineData("categories: [0, [1, 2, 3, 4]]", "categories: [0]", 9, "columns[4].categories", "1 categories")]
    [InlineData("name: ward", "name: age", 5, "columns", "names two columns")]
    [InlineData("testFraction: 0.25", "testFraction: 1", 3, "testFraction", "[0, 1)")]
    public void Parse_OneMistake_NamesLineFieldAndRepair(string right, string wrong, int line, string field, string says)
    {
        var error = Assert.Throws<InvalidInputException>(() => DataSchema.Parse(Good.Replace(right, wrong), "schema.yaml"));
        Problem problem = Assert.Single(error.Problems, problem => problem.Field == field);
        Assert.Equal(("schema.yaml", line), (problem.File, problem.Line));
        Assert.Contains(says, $"{problem.Message} {problem.Repair}");
    }

    [Theory]
    [InlineData("63.0", "63")]
    [InlineData(".7", "0.7")]
    [InlineData("-0", "0")]
    [InlineData(" 1e2 ", "100")]
    [InlineData("a b ", "a b")]
    [InlineData("1,000", "1,000")]
    [InlineData("NaN", "NaN")]
    public void Canonical_Spellings_AreOneValue(string raw, string canonical) => Assert.Equal(canonical, RawValue.Canonical(raw));
}
