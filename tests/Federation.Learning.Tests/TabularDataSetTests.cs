using CsCheck;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Learning.Data;

namespace Federation.Learning.Tests;

public sealed class TabularDataSetTests
{
    private const string SchemaYaml = """
        name: people
        testFraction: 0.3
        columns:
          - { name: age, kind: number, unit: years, range: [0, 100], missing: "?" }
          - { name: blood, kind: category, categories: [A, B, "0"], reference: "0" }
          - { name: note, kind: ignore }
          - { name: ill, kind: label, categories: ["no", "yes"], missing: "?" }
        """;

    private static readonly DataSchema Schema = DataSchema.Parse(SchemaYaml, "schema");
    private static readonly TaskSpec Task = new(TaskKind.BinaryClassification, "ill");

    [Fact]
    public void Load_EveryKindOfValue_EncodesByTheSchemaAlone()
    {
        using var folder = new TemporaryFolder();
        // Columns in another order, BOM, CRLF, quotes, blanks, a missing label, a value beyond the range
        string path = folder.Write("x.csv", "\uFEFFill,age,\"note\",blood\r\nyes,25,\"a, \"\"b\"\"\",A\r\nno,?,,0.0\r\n?,50,,B\r\nyes,150.0,x, B \r\n\r\n");
        string split = folder.Write("split.csv", "line,set\n");
        TabularDataSet set = TabularDataSet.Load(new DataSource("people", path, Split: split), Schema, new DataSpec("schema"), Task);
        Assert.Equal(["age", "age.missing", "blood=A", "blood=B"], set.FeatureNames);
        Assert.Equal([-0.5f, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1], set.Train.Features);
        Assert.Equal([1, 0, 1], set.Train.Labels);
        Assert.Equal([2, 3, 5], set.Train.Lines);
        Assert.Equal((1, 1, 1), (set.RowsWithoutLabel, set.Counts[0].Missing, set.Counts[0].Clipped));
        Assert.Equal(["age", "blood=A", "blood=B"], TabularDataSet.Load(new DataSource("people", path, Split: split), Schema, new DataSpec("schema", MissingIndicators: false), Task).FeatureNames);
    }

    [Fact] // Standardised by hand: 20, 40, 60 have mean 40 and population deviation 16.33
    public void Load_ScalingPerSite_StandardisesByTheTrainingRows()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("x.csv", "age,blood,note,ill\n20,A,,no\n40,A,,yes\n60,A,,no\n80,B,,yes\n");
        string split = folder.Write("split.csv", "line,set\n5,test\n");
        TabularDataSet set = TabularDataSet.Load(new DataSource("people", path, Split: split), Schema, new DataSpec("schema", Scaling.PerSite, false), Task);
        float[] ages = [.. set.Train.Features.Where((_, i) => i % 3 == 0)];
        Assert.Equal([-1.2247f, 0f, 1.2247f], ages.Select(age => MathF.Round(age, 4)));
        Assert.Equal(2.4495f, MathF.Round(set.Test.Features[0], 4));
        Assert.Equal([0f, 0f], set.Train.Features[1..3]); // a feature without deviation is centred
    }

    [Fact] // DESIGN.md, rule 8: no other example's features or set may depend on a record
    public void Load_OneRecordChangedOrAdded_MovesNoOther() => Gen.Select(Gen.Int[0, 29], Gen.Int[0, 99]).Sample((changed, age) =>
    {
        using var folder = new TemporaryFolder();
        string[] rows = [.. Enumerable.Range(0, 30).Select(i => $"{i * 3},{(i % 2 == 0 ? "A" : "B")},{i},{(i % 3 == 0 ? "yes" : "no")}")];
        string[] other = [.. rows];
        other[changed] = $"{age},0,new,no";
        Dictionary<int, (bool, string)> before = ByLine(folder, "a.csv", rows), after = ByLine(folder, "b.csv", [.. other, "1,A,more,yes"]);
        foreach ((int line, (bool, string) row) in before)
        {
            if (line != changed + 2) Assert.Equal(row, after[line]);
        }
    });

    [Fact]
    public void Load_TestFraction_HoldsOutAboutThatShare()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("x.csv", "age,blood,note,ill\n" + string.Concat(Enumerable.Range(0, 2000).Select(i => $"{i % 100},A,{i},no\n")));
        TabularDataSet set = TabularDataSet.Load(new DataSource("people", path), Schema, new DataSpec("schema"), Task);
        Assert.InRange(set.Test.Count, 520, 680); // 600 expected, four standard deviations of a binomial; the split is fixed, so no false alarms
    }

    [Theory]
    [InlineData("age,blood,note,il\n1,A,,no\n", null, "ill", "Did you mean 'il'?")]
    [InlineData("age,blood,note,ill,age\n1,A,,no,1\n", 1, "age", "stands twice")]
    [InlineData("age,blood,note,ill,63,63\n1,A,,no,1,1\n", 1, "heading", "'63' stands twice")] // perhaps a record
    [InlineData("age,blood,note,ill\n1,A,no\n", 2, "row", "3 fields; 4 are right")]
    [InlineData("age,blood,note,ill\n1,A,,maybe\n", 2, "ill", "Known: no, yes")]
    [InlineData("age,blood,note,ill\nx,A,,no\n", 2, "age", "'x' is no number")]
    [InlineData("age,blood,note,ill\nNaN,A,,no\n", 2, "age", "'NaN' is no number")]
    [InlineData("age,blood,note,ill\n1,AB,,no\n", 2, "blood", "none of the categories")]
    [InlineData("age,blood,note,ill\n1,\"A,,no\n", 2, "row", "not closed")]
    [InlineData("age,blood,note,ill\n", null, null, "no training row")]
    [InlineData("", null, null, "empty")]
    public void Load_BadFile_NamesLineColumnAndRepair(string text, int? line, string? column, string says)
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("x.csv", text);
        var error = Assert.Throws<InvalidInputException>(() => TabularDataSet.Load(new DataSource("people", path), Schema, new DataSpec("schema"), Task));
        Problem problem = Assert.Single(error.Problems);
        Assert.Equal((path, line, column), (problem.File, problem.Line, problem.Field));
        Assert.Contains(says, $"{problem.Message} {problem.Repair}");
    }

    [Theory] // a private run chooses the schema: whether rows fit it is nothing that it may learn
    [InlineData("1,A,no\n")]
    [InlineData("1,A,,maybe\n")]
    [InlineData("x,A,,no\n")]
    [InlineData("1,AB,,no\n")]
    [InlineData("1,\"A,,no\n")]
    [InlineData("x,AB,,maybe\n")]
    public void Load_LeavingOutWhatDoesNotFit_IsTheSameAsWithoutThatRow(string unfit)
    {
        using var folder = new TemporaryFolder();
        const string Heading = "age,blood,note,ill\n", Rows = "1,A,,no\n2,B,,yes\n3,A,,no\n";
        TabularDataSet with = Load(folder.Write("with.csv", Heading + Rows + unfit)), without = Load(folder.Write("without.csv", Heading + Rows)), none = Load(folder.Write("none.csv", Heading + unfit));
        foreach ((Rows expected, Rows rows) in new[] { (without.Train, with.Train), (without.Test, with.Test) })
        {
            Assert.Equal(expected.Features, rows.Features);
            Assert.Equal(expected.Labels, rows.Labels);
        }

        Assert.Equal((0, 0), (none.Train.Count, none.Test.Count));
        Assert.Empty(without.LeftOut);
        Assert.All(with.LeftOut, problem => Assert.Equal(5, problem.Line));
        Assert.NotEmpty(with.LeftOut);
        Assert.Throws<InvalidInputException>(() => Load(folder.Write("heading.csv", "age,blood,note\n1,A,\n"))); // the columns are no record

        static TabularDataSet Load(string path) => TabularDataSet.Load(new DataSource("people", path), Schema, new DataSpec("schema"), Task, leaveOutUnfit: true);
    }

    [Fact]
    public void Load_ManyProblems_ShowsTwentyAndCountsTheRest()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("x.csv", "age,blood,note,ill\n" + string.Concat(Enumerable.Repeat("x,A,,no\n", 50)));
        var error = Assert.Throws<InvalidInputException>(() => TabularDataSet.Load(new DataSource("people", path), Schema, new DataSpec("schema"), Task));
        Assert.Equal(21, error.Problems.Count);
        Assert.Contains("30 more", error.Problems[^1].Message);
    }

    [Theory]
    [InlineData("line,sett\n", "line,set")]
    [InlineData("line,set\n2,tset\n", "train, test and unused")]
    [InlineData("line,set\n2,test\n2,train\n", "twice")]
    [InlineData("line,set\n99,test\n", "line 99")]
    public void Load_BadSplit_SaysWhy(string split, string says)
    {
        using var folder = new TemporaryFolder();
        var source = new DataSource("people", folder.Write("x.csv", "age,blood,note,ill\n1,A,,no\n2,A,,no\n"), Split: folder.Write("split.csv", split));
        Assert.Contains(says, Assert.Throws<InvalidInputException>(() => TabularDataSet.Load(source, Schema, new DataSpec("schema"), Task)).Message);
    }

    [Fact]
    public void LoadForPrediction_WithoutLabels_GivesAllRows()
    {
        using var folder = new TemporaryFolder();
        TabularDataSet set = TabularDataSet.LoadForPrediction(folder.Write("x.csv", "age,blood,note\n1,A,\n2,B,\n"), Schema, new DataSpec("schema"), Task);
        Assert.Equal((0, 2), (set.Train.Count, set.Test.Count));
        Assert.Equal([-1, -1], set.Test.Labels);
    }

    [Fact]
    public void Mismatches_OtherMeaning_AreAllNamed()
    {
        var site = DataSchema.Parse("""
            name: people
            separator: ";"
            columns:
              - { name: age, kind: number, unit: months, range: [0, 1200], missing: "-9" }
              - { name: blood, kind: category, categories: [A, B, AB] }
              - { name: ill, kind: number, range: [0, 1] }
            """, "site");
        string all = string.Join('\n', SchemaComparison.Mismatches(site, Schema));
        foreach (string expected in new[] { "';' here", "measures months, the run years", "[0, 1200] goes beyond", "'-9'", "'AB' is unknown", "holds a number, the run expects a label" }) Assert.Contains(expected, all);
        Assert.Empty(SchemaComparison.Mismatches(Schema, Schema));
        Assert.Contains("its first record is no heading", Assert.Single(SchemaComparison.Mismatches(Schema with { Header = false }, Schema)), StringComparison.Ordinal);
    }

    [Fact] // Any text as a data file
    public void Load_AnyText_GivesADataSetOrInvalidInput() => Gen.Select(Gen.String, Gen.Char["age,blood\"\n?; 01A."].Array[0, 60]).Sample((noise, text) =>
    {
        using var folder = new TemporaryFolder();
        foreach (string candidate in new[] { noise, "age,blood,note,ill\n" + new string(text) })
        {
            try
            {
                TabularDataSet.Load(new DataSource("people", folder.Write("x.csv", candidate)), Schema, new DataSpec("schema"), Task);
            }
            catch (InvalidInputException)
            {
                // refused, as it should be
            }
        }
    });

    private static Dictionary<int, (bool Train, string Features)> ByLine(TemporaryFolder folder, string name, string[] rows)
    {
        string path = folder.Write(name, "age,blood,note,ill\n" + string.Join('\n', rows));
        TabularDataSet set = TabularDataSet.Load(new DataSource("people", path), Schema, new DataSpec("schema"), Task);
        return Of(set.Train, true).Concat(Of(set.Test, false)).ToDictionary(pair => pair.Line, pair => (pair.Train, pair.Features));
        static IEnumerable<(int Line, bool Train, string Features)> Of(Rows rows, bool train) =>
            rows.Lines.Select((line, i) => (line, train, string.Join(' ', rows.Features[(i * rows.Width)..((i + 1) * rows.Width)])));
    }
}
