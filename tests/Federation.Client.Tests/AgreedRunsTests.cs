using Federation.Formats.Configuration;
using Federation.Privacy.SecureAggregation;
using Federation.V1;

namespace Federation.Client.Tests;

/// <summary>What a site agreed to is written once; what a crash left of it is no agreement.</summary>
public sealed class AgreedRunsTests : IDisposable
{
    private const string Spec = """
        name: agreed
        data: { schema: s }
        model: { kind: logistic }
        task: { kind: binary-classification, label: y }
        rounds: 3
        seed: 1
        cohort: { sites: all, minContributors: 3, deadline: 60s }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 4, epochs: 1 }
        privacy: none
        """;

    private const string Schema = "name: s\ncolumns:\n  - { name: x, kind: number, unit: none, range: [0, 1] }\n  - { name: y, kind: label, categories: [0, 1] }\n";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-agreed");
    private readonly AgreedRuns _runs;

    public AgreedRunsTests() => _runs = ApprovedRunsTests.Runs(_folder.FullName, new NodePolicy());

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Agree_ARunAgreedToBefore_WritesNothing()
    {
        Agree();
        DateTime old = new(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        foreach (string name in new[] { "spec.yaml", "schema.yaml" }) File.SetLastWriteTimeUtc(PathOf(name), old);
        Agree();
        Assert.All(new[] { "spec.yaml", "schema.yaml" }, name => Assert.Equal(old, File.GetLastWriteTimeUtc(PathOf(name))));
        Assert.Equal((true, Spec, Schema), (_runs.Has("run"), _runs.SpecOf("run"), _runs.SchemaOf("run")));
    }

    [Theory] // as an older program left it when it was killed
    [InlineData("spec.yaml", "")]
    [InlineData("spec.yaml", "name: agreed\ndata: { sch")]
    [InlineData("schema.yaml", "")]
    [InlineData("schema.yaml", "name: s\ncolumns:\n  - { na")]
    public void Agree_AfterAWriteWasCutShort_IsAgreedToAnew(string name, string left)
    {
        Agree();
        File.WriteAllText(PathOf(name), left);
        Assert.False(_runs.Has("run"));
        Agree();
        Assert.Equal((true, Spec, Schema), (_runs.Has("run"), _runs.SpecOf("run"), _runs.SchemaOf("run")));
    }

    [Fact] // a spec that goes on where the kept one ends is another spec
    public void Agree_AnotherSpecOrSchema_IsRefused()
    {
        Agree();
        Refused(Spec + "\nsecureAggregation: none", Schema);
        Refused(Spec, Schema + "version: 2\n");
        Assert.Contains("cannot be read", Refused("rounds: x", Schema), StringComparison.Ordinal);
        Assert.Equal((Spec, Schema), (_runs.SpecOf("run"), _runs.SchemaOf("run")));
    }

    [Fact] // what a site only looked at, or refused, no later task finds
    public void Read_KeepsNothing_AndForgetEndsAnAgreement()
    {
        var description = new RunDescription { RunId = "run", SpecYaml = Spec, SchemaYaml = Schema };
        Assert.Equal("agreed", _runs.Read(description).Spec.Name);
        Assert.Null(_runs.Find("run"));
        Agree();
        Assert.NotNull(_runs.Find("run"));
        _runs.Forget("run");
        Assert.Null(_runs.Find("run"));
        _runs.Forget("run");
    }

    private void Agree() => _runs.Agree(new RunDescription { RunId = "run", SpecYaml = Spec, SchemaYaml = Schema });

    private string Refused(string spec, string schema) => Assert.Throws<ProtocolException>(() => _runs.Agree(new RunDescription { RunId = "run", SpecYaml = spec, SchemaYaml = schema })).Message;

    private string PathOf(string name) => Path.Combine(new NodeFolder(_folder.FullName).Run("run"), name);
}
