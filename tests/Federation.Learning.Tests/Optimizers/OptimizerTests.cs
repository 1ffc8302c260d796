using System.Runtime;
using Federation.Formats.Runs;
using Federation.Learning.Models;
using Federation.Learning.Optimizers;
using Federation.Learning.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.Optimizers;

public sealed class OptimizerTests
{
    public OptimizerTests() => random.manual_seed(1);

    /// <summary>5 inputs, 7 hidden units, 3 outputs: no length is a multiple of a vector's. And a layer that no loss depends on.</summary>
    private sealed class Net : nn.Module<Tensor, Tensor>
    {
        private readonly Linear _hidden = nn.Linear(5, 7), _output = nn.Linear(7, 3);

        public Net()
            : base("net") => RegisterComponents();

        public Linear Unused { get; } = nn.Linear(2, 3);

        public override Tensor forward(Tensor x) => _output.call(nn.functional.tanh(_hidden.call(x)));
    }

    public static TheoryData<OptimizerKind, double, double, double> Specs => new()
    {
        { OptimizerKind.Sgd, 0.05, 0, 0 },
        { OptimizerKind.Sgd, 0.05, 0.9, 0 },
        { OptimizerKind.Sgd, 0.05, 0, 0.02 },
        { OptimizerKind.Sgd, 0.05, 0.9, 0.02 },
        { OptimizerKind.Adam, 0.01, 0, 0 },
        { OptimizerKind.Adam, 0.01, 0, 0.02 },
        { OptimizerKind.AdamW, 0.01, 0, 0 },
        { OptimizerKind.AdamW, 0.01, 0, 0.02 },
    };

    [Theory]
    [MemberData(nameof(Specs))]
    public void Step_250Times_GoesWhereTorchsGoes(OptimizerKind kind, double rate, double momentum, double decay)
    {
        OptimizerSpec spec = new(kind, rate, momentum, decay);
        using Net one = new(), other = new();
        ModuleState.Load(other, ModuleState.Of(one));
        using optim.Optimizer ours = LocalTraining.CreateOptimizer(one, spec), torchs = Torchs(other, spec);
        Assert.IsType<InMemoryOptimizer>(ours, exactMatch: false);
        using IDisposable scope = NewDisposeScope();
        Tensor inputs = rand(40, 5), targets = rand(40, 3);
        float[] start = Values(one);
        Trained(one, ours, inputs, targets, 250);
        // Torch's steps may be ended by a collection: there is none meanwhile.
        Assert.True(GC.TryStartNoGCRegion(32 << 20));
        Trained(other, torchs, inputs, targets, 250);
        if (GCSettings.LatencyMode == GCLatencyMode.NoGCRegion) GC.EndNoGCRegion();
        float[] here = Values(one), there = Values(other);
        Assert.InRange(Distance(start, there), 0.1, double.MaxValue);
        Assert.InRange(Distance(here, there), 0, 1e-5);
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void Step_WithoutGradient_LeavesAParameterAlone(OptimizerKind kind, double rate, double momentum, double decay)
    {
        using Net net = new();
        using optim.Optimizer optimizer = LocalTraining.CreateOptimizer(net, new(kind, rate, momentum, decay));
        using IDisposable scope = NewDisposeScope();
        float[] weights = [.. net.Unused.weight.data<float>()];
        Trained(net, optimizer, rand(8, 5), rand(8, 3), 3);
        Assert.Equal(weights, net.Unused.weight.data<float>());
        optimizer.zero_grad();
        Assert.All(net.parameters(), parameter => Assert.Null(parameter.grad));
        float[] all = Values(net);
        optimizer.step();
        Assert.Equal(all, Values(net));
    }

    [Theory] // t counts a parameter's own steps: its first one is α·g/(|g| + ε) whenever it comes, half of α for g = ε, and so is the next one with the same g
    [InlineData(OptimizerKind.Adam)]
    [InlineData(OptimizerKind.AdamW)]
    public void Step_AdamsFirstOnesOfAParameter_EqualTheHandDerivedOnes(OptimizerKind kind)
    {
        using Net net = new();
        using optim.Optimizer optimizer = LocalTraining.CreateOptimizer(net, new(kind, 0.1));
        using IDisposable scope = NewDisposeScope();
        Trained(net, optimizer, rand(8, 5), rand(8, 3), 4);
        nn.init.zeros_(net.Unused.weight);
        net.Unused.weight.grad = tensor(new[] { 3, -0.5f, 1e-8f, -1e-8f, 0, 1e-4f }).view(3, 2);
        float[] expected = [-0.1f, 0.1f, -0.05f, 0.05f, 0, -0.1f * 1e-4f / (1e-4f + 1e-8f)];
        for (int step = 1; step <= 2; step++)
        {
            optimizer.step();
            for (int i = 0; i < expected.Length; i++) Assert.Equal(step * expected[i], net.Unused.weight.data<float>()[i], 1e-6f);
        }
    }

    [Fact] // of rows that a batch did not touch it says nothing: zero
    public void Step_OfASparseGradient_IsThatOfTheDenseOne()
    {
        using IDisposable scope = NewDisposeScope();
        Embedding[] layers = [nn.Embedding(6, 3, sparse: true), nn.Embedding(6, 3)];
        ModuleState.Load(layers[1], ModuleState.Of(layers[0]));
        float[][] trained = [.. layers.Select(layer =>
        {
            using optim.Optimizer optimizer = LocalTraining.CreateOptimizer(layer, new(OptimizerKind.Adam, 0.1));
            Trained(layer, optimizer, tensor(new long[] { 1, 4, 4 }), ones(3, 3), 3);
            return Values(layer);
        })];
        Assert.Equal(trained[1], trained[0]);
    }

    [Fact]
    public void Step_WithAClosure_EvaluatesItFirst()
    {
        using Net net = new();
        using optim.Optimizer optimizer = LocalTraining.CreateOptimizer(net, new(OptimizerKind.Sgd, 0.1));
        float[] start = Values(net);
        using IDisposable scope = NewDisposeScope();
        Tensor loss = optimizer.step(() =>
        {
            Tensor value = net.call(ones(1, 5)).sum();
            value.backward();
            return value;
        });
        Assert.Equal(ScalarType.Float32, loss.dtype);
        Assert.NotEqual(start, Values(net));
    }

    [Fact]
    public void CreateOptimizer_OfOtherParameters_GivesTorchs()
    {
        using Net doubles = new(), turned = new();
        doubles.to(ScalarType.Float64);
        turned.Unused.weight = new Parameter(rand(2, 3).t());
        foreach (OptimizerSpec spec in Enum.GetValues<OptimizerKind>().Select(kind => new OptimizerSpec(kind, 0.1)))
        {
            foreach (Net net in new[] { doubles, turned })
            {
                using optim.Optimizer optimizer = LocalTraining.CreateOptimizer(net, spec);
                Assert.IsNotType<InMemoryOptimizer>(optimizer, exactMatch: false);
            }
        }
    }

    [Theory] // FedProx: (μ/2)‖w − w₀‖² in Torch's own loss gives what our correction does, around our optimizers and around Torch's
    [InlineData(OptimizerKind.Sgd, false)]
    [InlineData(OptimizerKind.Sgd, true)]
    [InlineData(OptimizerKind.Adam, false)]
    [InlineData(OptimizerKind.AdamW, true)]
    public void CreateOptimizer_WithAProximalTerm_StepsAsWithThatLoss(OptimizerKind kind, bool others)
    {
        using IDisposable scope = NewDisposeScope();
        using Net ours = new(), plain = new();
        if (others) ours.Unused.weight = new Parameter(rand(2, 3).t());
        ModuleState.Load(plain, ModuleState.Of(ours));
        OptimizerSpec spec = new(kind, 0.05, kind == OptimizerKind.Sgd ? 0.9 : 0, 0.01);
        RunSpec run = RunSpec.Parse("name: own\nmodel: { kind: custom }\nrounds: 1\nseed: 0\ncohort: { minContributors: 1, deadline: 5s }\nlocal: { optimizer: { kind: sgd, learningRate: 1 }, batchSize: 1, proximal: 0.7 }\nsecureAggregation: none\nprivacy: none", "spec");
        using optim.Optimizer one = LocalTraining.CreateOptimizer(ours, spec, GradientCorrection.Of(ours, new LearningTask("run", "a", run, null), ModuleState.Of(ours))), two = Torchs(plain, spec);
        Assert.Equal(others, one is not InMemoryOptimizer);
        Tensor inputs = rand(8, 5), targets = rand(8, 3);
        Tensor[] start = [.. plain.parameters().Select(parameter => parameter.detach().clone())];
        for (int i = 0; i < 20; i++)
        {
            using IDisposable step = NewDisposeScope();
            one.zero_grad();
            nn.functional.mse_loss(ours.call(inputs), targets).backward();
            one.step();
            two.zero_grad();
            Tensor distance = plain.parameters().Zip(start, (parameter, before) => (parameter - before).square().sum()).Aggregate((a, b) => a + b);
            (nn.functional.mse_loss(plain.call(inputs), targets) + (distance * 0.35f)).backward();
            two.step();
        }

        Assert.InRange(Distance(Used(ours), Used(plain)), 0, 1e-4);

        // A parameter that the loss does not depend on has no gradient here, and one of 0 there.
        static float[] Used(nn.Module net) => [.. ModuleState.Of(net).Tensors.Where(tensor => !tensor.Name.Contains("nused", StringComparison.Ordinal)).SelectMany(tensor => tensor.Values)];
    }

    private static optim.Optimizer Torchs(Net net, OptimizerSpec spec) => spec.Kind switch
    {
        OptimizerKind.Sgd => optim.SGD(net.parameters(), spec.LearningRate, spec.Momentum, weight_decay: spec.WeightDecay),
        OptimizerKind.Adam => optim.Adam(net.parameters(), spec.LearningRate, weight_decay: spec.WeightDecay),
        _ => optim.AdamW(net.parameters(), spec.LearningRate, weight_decay: spec.WeightDecay),
    };

    private static void Trained(nn.Module<Tensor, Tensor> net, optim.Optimizer optimizer, Tensor inputs, Tensor targets, int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            using IDisposable scope = NewDisposeScope();
            optimizer.zero_grad();
            nn.functional.mse_loss(net.call(inputs), targets).backward();
            optimizer.step();
        }
    }

    private static float[] Values(nn.Module net) => [.. ModuleState.Of(net).Tensors.SelectMany(tensor => tensor.Values)];

    /// <summary>‖a − b‖/‖b‖</summary>
    private static double Distance(float[] one, float[] other) => Math.Sqrt(one.Zip(other, (a, b) => Math.Pow((double)a - b, 2)).Sum() / other.Sum(b => (double)b * b));
}
