using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.DifferentialPrivacy;
using Federation.Learning.Models;
using Federation.Learning.Tests.DifferentialPrivacy;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.Documentation;

/// <summary>The pages show programs that run.</summary>
public sealed class DocumentationTests
{
    [Theory]
    [InlineData("OwnRules.cs", "dp-training.md")]
    [InlineData("PrivateOwnModel.cs", "own-model.md")]
    public void Page_ShowsTheProgramThatRuns(string program, string page)
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, "tests", "Federation.Learning.Tests", "Documentation", program));
        Assert.Contains(text[text.IndexOf("using", StringComparison.Ordinal)..].Trim(), File.ReadAllText(Path.Combine(Repository.Root, "docs", page)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void OwnRules_RecordsAndPersons_EqualOneBackwardPassEach(bool withoutHolding)
    {
        LayerRules rules = withoutHolding ? OwnRules.WithoutHolding() : OwnRules.PerRecord();
        using Twins twins = new(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), new Projection(5, 3)), randn(8, 4), rules);
        twins.AssertEqual();
        twins.AssertEqual(new([0, 1, 2, 3, 4, 5, 6, 7], BatchUnits.Of([0, 0, 0, 1, 2, 2, 3, 3], 4), [.. Enumerable.Repeat(0.5f, 8)]));
        using Twins twice = new(new Twice(), randn(6, 4), rules);
        twice.AssertEqual();
    }

    [Fact]
    public void PrivateOwnModel_SpecOfThePage_Trains()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "own-model.md"));
        int start = page.IndexOf("name: own-model-private", StringComparison.Ordinal);
        RunSpec spec = RunSpec.Parse(page[start..page.IndexOf("```", start, StringComparison.Ordinal)], "spec");
        LearningTask task = new("run", "a", spec, null);
        static nn.Module<Tensor, Tensor> Model() => nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1));
        using ModuleLearner learner = PrivateOwnModel.Learner(Model, randn(200, 4), randn(200, 1), [.. Enumerable.Range(0, 200).Select(i => $"p{i / 4}")]);
        using nn.Module<Tensor, Tensor> first = Model();
        ModelState initial = ModuleState.Of(first);
        Assert.Empty(learner.Check(task, initial));
        Assert.Null(learner.Train(task, 1, initial, TestContext.Current.CancellationToken).WeightedDelta.FirstNonFinite());
    }

    private sealed class Twice : nn.Module<Tensor, Tensor>
    {
        private readonly Projection projection = new(4, 4);

        public Twice()
            : base(nameof(Twice)) => RegisterComponents();

        public override Tensor forward(Tensor input) => projection.call(projection.call(input).tanh());
    }
}
