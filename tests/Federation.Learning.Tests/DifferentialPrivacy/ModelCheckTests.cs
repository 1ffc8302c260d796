using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

public sealed class ModelCheckTests
{
    [Fact]
    public void DpTrainer_ModelWithBatchNorm_IsRefusedWithTheRepair()
    {
        using var model = nn.Sequential(("first", nn.Conv2d(1, 4, 3L)), ("norm", nn.BatchNorm2d(4)), ("pool", nn.Sequential(("inside", nn.BatchNorm2d(4)))));
        LearningException error = Assert.Throws<LearningException>(() => Trainer(model));
        Assert.Contains("'norm'", error.Message, StringComparison.Ordinal);
        Assert.Contains("'pool.inside'", error.Message, StringComparison.Ordinal);
        Assert.Contains("Use GroupNorm", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Problems_InstanceNormOrEmbeddingThatKeepsOrMixes_AreFound()
    {
        Assert.Contains("running statistics", Assert.Single(ModelCheck.Problems(nn.InstanceNorm2d(3, track_running_stats: true))).Reason, StringComparison.Ordinal);
        Assert.Empty(ModelCheck.Problems(nn.InstanceNorm2d(3, affine: true)));
        Assert.Contains("max_norm", Assert.Single(ModelCheck.Problems(nn.Embedding(5, 3, max_norm: 2))).Reason, StringComparison.Ordinal);
        foreach (int? padding in (int?[])[null, 0, 1, 4])
        {
            Assert.Contains("scale_grad_by_freq", Assert.Single(ModelCheck.Problems(nn.Embedding(5, 3, padding_idx: padding, scale_grad_by_freq: true))).Reason, StringComparison.Ordinal);
            using TorchSharp.Modules.Embedding fine = nn.Embedding(5, 3, padding_idx: padding);
            float[] before = fine.weight!.data<float>().ToArray();
            Assert.Empty(ModelCheck.Problems(fine));
            Assert.Equal(before, fine.weight!.data<float>().ToArray());
        }
    }

    [Fact]
    public void Fix_SequentialWithBatchNorm_HasGroupNormWithItsWeights()
    {
        TorchSharp.Modules.BatchNorm2d norm = nn.BatchNorm2d(48);
        nn.init.uniform_(norm.weight!);
        float[] weight = norm.weight!.data<float>().ToArray();
        var model = nn.Sequential(("conv", nn.Conv2d(1, 48, 3L)), ("inner", nn.Sequential(("norm", norm))), ("instance", nn.InstanceNorm2d(48, track_running_stats: true)));
        model.eval();
        var made = ModelFixer.Fix(model, out IReadOnlyList<string> changes);
        Assert.Equal(2, changes.Count);
        Assert.Empty(ModelCheck.Problems(made));
        var group = Assert.IsType<TorchSharp.Modules.GroupNorm>(made.named_modules().Single(entry => entry.name == "inner.norm").module);
        Assert.Equal(24, group.num_groups);
        Assert.Equal(weight, group.weight!.data<float>().ToArray());
        Assert.All(group.bias!.data<float>().ToArray(), value => Assert.Equal(0, value));
        Assert.False(group.training);
        Assert.Equal([2, 48, 3, 3], made.call(randn(2, 1, 5, 5)).shape);
        Assert.Same(made, ModelFixer.Fix(made, out changes));
        Assert.Empty(changes);
    }

    [Fact]
    public void Fix_OwnModule_SwapsFieldsThatCanHoldIt()
    {
        using Open open = new();
        string[] names = [.. open.state_dict().Keys];
        Open made = ModelFixer.Fix(open, out _);
        Assert.Empty(ModelCheck.Problems(made));
        Assert.Equal(names.Where(name => !name.Contains("running", StringComparison.Ordinal) && !name.Contains("num_batches", StringComparison.Ordinal)), made.state_dict().Keys);
        Assert.Equal([2, 4, 5], made.call(randn(2, 4, 5)).shape);
        Assert.Contains("declare the field", Assert.Throws<LearningException>(() => ModelFixer.Fix(new Closed(), out _)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Step_OwnModuleKeepsAMean_IsRefusedAndTheBufferRestored()
    {
        using Keeping model = new();
        using DpTrainer trainer = Trainer(model);
        Tensor inputs = randn(8, 3);
        LearningException error = Assert.Throws<LearningException>(() => trainer.Step(indices => model.call(inputs.index_select(0, indices)).sum(new long[] { 1 })));
        Assert.Contains("'mean'", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, trainer.Steps);
        Assert.Equal(0, model.mean.count_nonzero().item<long>());
    }

    [Fact]
    public void Step_LossesMixRecords_IsRefused()
    {
        using var model = nn.Linear(3, 2);
        using DpTrainer trainer = Trainer(model);
        Tensor inputs = randn(8, 3);
        LearningException error = Assert.Throws<LearningException>(() => trainer.Step(indices =>
        {
            Tensor output = model.call(inputs.index_select(0, indices));
            return (output - output.mean(new long[] { 0 }, keepdim: true)).square().sum(new long[] { 1 });
        }));
        Assert.Contains("depends on", error.Message, StringComparison.Ordinal);
    }

    [Theory] // no gradient shows it: the inputs have none
    [InlineData(ClippedSumMethod.BookKeeping)]
    [InlineData(ClippedSumMethod.RecordByRecord)]
    public void Step_InputsAreCentredOnTheBatch_IsRefused(ClippedSumMethod method)
    {
        using var model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5));
        model.train();
        using DpTrainer trainer = Trainer(model, method);
        Tensor inputs = randn(8, 3);
        LearningException error = Assert.Throws<LearningException>(() => trainer.Step(indices =>
        {
            Tensor input = inputs.index_select(0, indices);
            return model.call(input - input.mean(new long[] { 0 }, keepdim: true)).square().sum(new long[] { 1 });
        }));
        Assert.Contains("must not be mixed", error.Message, StringComparison.Ordinal);
        Assert.All(model.modules(), module => Assert.True(module.training));
        trainer.Step(indices => model.call(inputs.index_select(0, indices)).square().sum(new long[] { 1 }));
        Assert.Equal(1, trainer.Steps);
    }

    [Fact]
    public void Add_LayersOutputsAreMixed_IsRefusedByLayer()
    {
        using Twins twins = new(nn.Sequential(("first", nn.Linear(3, 4)), ("mixing", new Centred()), ("last", nn.Linear(4, 2))), randn(8, 3));
        LearningException error = Assert.Throws<LearningException>(() => twins.Sum(PrivateBatch.OneEach([0, 1, 2, 3]), ClippingKind.Flat, [1]));
        Assert.Contains("through 'first': records must not be mixed", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Step_WeightUsedOutsideItsModule_IsRefusedByName()
    {
        using var model = nn.Linear(3, 3);
        using DpTrainer trainer = Trainer(model);
        Tensor inputs = randn(8, 3);
        LearningException error = Assert.Throws<LearningException>(() => trainer.Step(indices => model.call(inputs.index_select(0, indices)).mm(model.weight!).sum(new long[] { 1 })));
        Assert.Contains("'weight' do not add up", error.Message, StringComparison.Ordinal);
        Assert.Contains("RecordByRecord", error.Message, StringComparison.Ordinal);
    }

    [Fact] // ReLU in place writes over the layer's output
    public void Add_OutputsChangedInPlace_EqualsOneBackwardPassARecord()
    {
        using Twins twins = new(nn.Sequential(nn.Linear(4, 20), nn.ReLU(inplace: true), nn.Linear(20, 20), nn.ReLU(inplace: true), nn.Linear(20, 2)), randn(9, 4));
        twins.AssertEqual();
    }

    [Fact]
    public void Register_RuleOfTheUsers_TakesThePlaceOfTheSlowOne()
    {
        LayerRules rules = new();
        int calls = 0;
        rules.RegisterPerRecord<Halved>((module, call) =>
        {
            calls++;
            return new Dictionary<string, Tensor> { ["scale"] = (call.OutputGradient * call.Input).sum(new long[] { 1 }) / 2 };
        });
        using Twins twins = new(nn.Sequential(nn.Linear(4, 3), nn.Unflatten(1, [1, 3]), new Halved(), nn.Linear(3, 2)), randn(7, 4), rules);
        twins.AssertEqual();
        Assert.True(calls > 0);
    }

    [Fact] // a rule that is wrong must show at the first step, not after training
    public void Register_WrongRule_IsRefused()
    {
        LayerRules rules = new();
        rules.RegisterPerRecord<Halved>((module, call) => new Dictionary<string, Tensor> { ["scale"] = (call.OutputGradient * call.Input).sum(new long[] { 1 }) });
        using Twins twins = new(nn.Sequential(nn.Linear(4, 3), nn.Unflatten(1, [1, 3]), new Halved(), nn.Linear(3, 2)), randn(7, 4), rules);
        Assert.Contains("do not add up", Assert.Throws<LearningException>(() => twins.Sum(PrivateBatch.OneEach([0, 1, 2]), ClippingKind.Flat, [1])).Message, StringComparison.Ordinal);
    }

    private static DpTrainer Trainer(nn.Module model, ClippedSumMethod method = ClippedSumMethod.BookKeeping)
    {
        DpSgdOptions options = DpSgdOptionsTests.Valid();
        (options.SamplingRate, options.Method) = (1, method);
        return new(model, optim.SGD(model.parameters(), 0.1), PrivacyUnits.Records(8), options.ToParameters(), new SecureRandom());
    }

    private sealed class Open : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> norm = nn.BatchNorm1d(4), linear = nn.Linear(5, 5);

        public Open()
            : base(nameof(Open)) => RegisterComponents();

        public override Tensor forward(Tensor input) => linear.call(norm.call(input));
    }

    private sealed class Closed : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.BatchNorm1d norm = nn.BatchNorm1d(4);

        public Closed()
            : base(nameof(Closed)) => RegisterComponents();

        public override Tensor forward(Tensor input) => norm.call(input);
    }

    private sealed class Keeping : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.Linear linear = nn.Linear(3, 2);
        internal readonly Tensor mean = zeros(3);

        public Keeping()
            : base(nameof(Keeping))
        {
            register_buffer("mean", mean);
            register_module("linear", linear);
        }

        public override Tensor forward(Tensor input)
        {
            mean.add_(input.detach().mean(new long[] { 0 }), 0.1);
            return linear.call(input);
        }
    }

    private sealed class Centred() : nn.Module<Tensor, Tensor>(nameof(Centred))
    {
        public override Tensor forward(Tensor input) => input - input.mean(new long[] { 0 }, keepdim: true);
    }

    internal sealed class Halved : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.Parameter scale = nn.Parameter(ones(3));

        public Halved()
            : base(nameof(Halved)) => RegisterComponents();

        public override Tensor forward(Tensor input) => input * scale / 2;
    }
}
