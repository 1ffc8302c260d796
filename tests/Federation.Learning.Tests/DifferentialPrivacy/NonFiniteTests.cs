using CsCheck;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

/// <summary>A record whose loss or gradient is not finite adds 0. Were it an error, whoever chooses the weights could ask by it, without noise, whether a site holds some record.</summary>
public sealed class NonFiniteTests
{
    private static readonly float[] s_poison = [float.NaN, float.PositiveInfinity, float.NegativeInfinity, 1e38f]; // the last: a finite loss, perhaps, whose gradient's squared norm is not

    [Fact]
    public void Add_SomeUnitsNotFinite_EqualsTheSumOfTheOthers() =>
        Gen.Select(Gen.Int[0, 6], Gen.Bool, Gen.Enum<ClippingKind>(), Gen.Bool.Array[2, 12], Gen.Int[0, s_poison.Length - 1], Gen.Int[1, 2], Gen.Long[1, 1L << 40]).Sample((model, inInputs, kind, bad, poison, each, seed) =>
        {
            random.manual_seed(seed);
            int records = bad.Length * each;
            (nn.Module<Tensor, Tensor> module, Tensor inputs) = Model(model, records);
            Tensor factors = ones(records);
            for (int i = 0; i < records; i++)
            {
                if (!bad[i / each] || i % each != 0) continue; // one record is enough for its unit
                if (inInputs && inputs.dtype == ScalarType.Float32 && poison < 3) inputs[i] = full_like(inputs[i], s_poison[poison]);
                else factors[i] = s_poison[poison];
            }

            using Twins twins = new(module, inputs, factors: indices => factors.index_select(0, indices));
            double[] bounds = kind == ClippingKind.PerLayer ? [.. twins.Layers.Select((_, i) => 1.0 / (i + 1))] : [1.0];
            PrivateBatch all = Batch([.. Enumerable.Range(0, bad.Length)], each), others = Batch([.. Enumerable.Range(0, bad.Length).Where(unit => !bad[unit])], each);
            foreach (Func<PrivateBatch, ClippingKind, double[], float[]> sum in (Func<PrivateBatch, ClippingKind, double[], float[]>[])[twins.Sum, twins.ReferenceSum])
            {
                float[] expected = sum(others, kind, bounds);
                PrivateFigures without = twins.Figures;
                Assert.Equal(0, without.NonFinite);
                Assert.Equal(expected, sum(all, kind, bounds));
                Assert.All(expected, value => Assert.True(float.IsFinite(value)));
                Assert.Equal(without with { Records = records, Units = bad.Length, NonFinite = bad.Count(one => one) }, twins.Figures);
            }
        }, iter: 200, threads: 1);

    [Theory]
    [InlineData(ClippedSumMethod.BookKeeping)]
    [InlineData(ClippedSumMethod.RecordByRecord)]
    public void Step_OnlyUnitsThatAreNotFinite_IsAStepOfNoise(ClippedSumMethod method)
    {
        foreach (float poison in s_poison)
        {
            using var model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2));
            Tensor inputs = randn(9, 3);
            using DpTrainer trainer = Trainer(model, 9, method);
            float[] before = Weights(model);
            PrivateFigures figures = trainer.Step(indices => (model.call(inputs.index_select(0, indices)).square().sum(new long[] { 1 }) + 1) * poison);
            Assert.Equal(new PrivateFigures(9, 9, 0, 0, 9), figures);
            Assert.Equal(0, figures.MeanLoss);
            Assert.Equal(1, trainer.Steps);
            Assert.All(Weights(model), weight => Assert.True(float.IsFinite(weight)));
            Assert.NotEqual(before, Weights(model));
            // The model is still checked once there are records to check it on, and trains.
            figures = trainer.Step(indices => model.call(inputs.index_select(0, indices)).square().sum(new long[] { 1 }));
            Assert.Equal((9, 0), (figures.Units, figures.NonFinite));
        }
    }

    [Fact] // the check is of the model: it must neither fail for one record nor be left out for one
    public void Step_AWrongModelAndOneRecordNotFinite_IsRefusedAsEver()
    {
        Tensor inputs = randn(8, 3);
        inputs[2] = full_like(inputs[2], float.NaN);
        using var model = nn.Linear(3, 3);
        using DpTrainer trainer = Trainer(model, 8);
        LearningException error = Assert.Throws<LearningException>(() => trainer.Step(indices => model.call(inputs.index_select(0, indices)).mm(model.weight!).sum(new long[] { 1 })));
        Assert.Contains("'weight' do not add up", error.Message, StringComparison.Ordinal);
    }

    [Fact] // a finite loss with a gradient of ∞, which is no mixing of records
    public void Step_AFiniteLossWithAnInfiniteGradient_IsLeftOut()
    {
        using var model = nn.Linear(3, 2);
        Tensor inputs = randn(8, 3);
        using DpTrainer trainer = Trainer(model, 8);
        PrivateFigures figures = trainer.Step(indices =>
        {
            Tensor outputs = model.call(inputs.index_select(0, indices)).square().sum(new long[] { 1 });
            return (outputs * (indices != 5).to(ScalarType.Float32)).sqrt();
        });
        Assert.Equal((8, 1), (figures.Units, figures.NonFinite));
        Assert.True(double.IsFinite(figures.MeanLoss) && figures.MeanLoss > 0);
    }

    [Fact] // two places whose products are +∞ and −∞: the norm, by Gram matrices, is 0
    public void Step_PlacesOverflowAgainstEachOther_IsLeftOut()
    {
        using var model = nn.Linear(60, 60, hasBias: false);
        Tensor inputs = randn(6, 1, 60).expand(6, 2, 60).contiguous();
        inputs[3] = full_like(inputs[3], 1e20f);
        using DpTrainer trainer = Trainer(model, 6);
        PrivateFigures figures = trainer.Step(indices =>
        {
            Tensor outputs = model.call(inputs.index_select(0, indices));
            Tensor apart = (outputs.select(1, 0) - outputs.select(1, 1)).sum(new long[] { 1 });
            return where(indices == 3, apart * 1e19f, outputs.square().mean(new long[] { 1, 2 }));
        });
        Assert.Equal((6, 1), (figures.Units, figures.NonFinite));
        Assert.All(Weights(model), weight => Assert.True(float.IsFinite(weight)));
    }

    [Fact] // weights chosen so that only a record with all seven features overflows: the update tells it with noise alone, so here, before the noise, it is as if the record were not there
    public void Train_WeightsThatOverflowForOneRecord_GiveAnUpdateLikeAnyOther()
    {
        RunSpec spec = RunSpec.Parse("""
            name: own
            model: { kind: custom }
            rounds: 1
            seed: 0
            cohort: { minContributors: 3, deadline: 5s }
            local: { optimizer: { kind: sgd, learningRate: 1 }, batchSize: 1 }
            privacy: { unit: record, noise: shared, clip: 1, noiseMultiplier: 1, samplingRate: 1, delta: 1e-5 }
            """, "spec");
        LearningTask task = new("run", "a", spec, null);
        var start = new ModelState([new NamedTensor("weight", [1, 7], [.. Enumerable.Repeat((float)(3.42e38 / 7), 7)]), new NamedTensor("bias", [1], [0])]);
        Tensor others = eye(7);
        (TrainingResult without, TrainingResult with) = (Trained(others), Trained(cat([others, ones(1, 7)])));
        Assert.Equal((0, 1), (without.NonFinite, with.NonFinite));
        Assert.Equal(without.WeightedDelta.Sha256, with.WeightedDelta.Sha256);
        Assert.Equal(without.Loss, with.Loss);
        Assert.True(double.IsFinite(with.Loss));

        TrainingResult Trained(Tensor inputs)
        {
            Tensor zero = zeros(inputs.shape[0], 1);
            using ModuleLearner learner = new(
                () => nn.Linear(7, 1), new Examples(inputs.clone(), zero), (output, target) => (output - target).square().mean(),
                recordLosses: (output, target) => nn.functional.binary_cross_entropy_with_logits(output, target, reduction: nn.Reduction.None).reshape(-1));
            return learner.Train(task, 1, start, CancellationToken.None);
        }
    }

    [Fact] // weight decay of a weight at float32's end, which records would lead beyond or not
    public void Train_UpdateBeyondFloat32_IsCutToIt()
    {
        RunSpec spec = RunSpec.Parse("""
            name: own
            model: { kind: custom }
            rounds: 1
            seed: 0
            cohort: { minContributors: 3, deadline: 5s }
            local: { optimizer: { kind: sgd, learningRate: 2, weightDecay: 1 }, batchSize: 1 }
            privacy: { unit: record, noise: shared, clip: 1, noiseMultiplier: 1, samplingRate: 1, delta: 1e-5 }
            """, "spec");
        using ModuleLearner learner = new(
            () => nn.Linear(2, 1), new Examples(tensor(new float[] { 1, 0 }, [1, 2]), ones(1, 1)), (output, target) => (output - target).square().mean(),
            recordLosses: (output, target) => (output - target).square().reshape(-1));
        var start = new ModelState([new NamedTensor("weight", [1, 2], [0, float.MaxValue]), new NamedTensor("bias", [1], [0])]);
        TrainingResult result = learner.Train(new LearningTask("run", "a", spec, null), 1, start, CancellationToken.None);
        Assert.Equal(-float.MaxValue, result.WeightedDelta.Tensors.Single(one => one.Name == "weight").Values[1]);
        Assert.Equal(0, result.NonFinite);
    }

    private static (nn.Module<Tensor, Tensor> Model, Tensor Inputs) Model(int kind, int records) => kind switch
    {
        0 => (nn.Sequential(nn.Linear(5, 30), nn.ReLU(), nn.Linear(30, 2)), randn(records, 5)),
        1 => (nn.Sequential(nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 3, hasBias: false)), randn(records, 4, 40)),
        2 => (nn.Sequential(nn.Conv2d(2, 8, 3L), nn.ReLU(), nn.Conv2d(8, 2, 2L, groups: 2)), randn(records, 2, 6, 5)),
        3 => (nn.Sequential(nn.Embedding(6, 4, padding_idx: 2), nn.LayerNorm(4), nn.Linear(4, 2)), randint(0, 6, [records, 5], dtype: ScalarType.Int64)),
        4 => (nn.Sequential(nn.Conv1d(2, 6, 3L), Normalization.Group(3, 6), nn.Tanh(), nn.PReLU(6), nn.Flatten(), nn.Linear(24, 2)), randn(records, 2, 6)),
        5 => (new BookKeepingTests.Recurrent(3, 4, new() { BatchFirst = true }, true), randn(records, 5, 3)),
        _ => (new BookKeepingTests.Recurrent(3, 4, new() { BatchFirst = true, Bidirectional = true }, false), randn(records, 5, 3)),
    };

    private static PrivateBatch Batch(int[] units, int each) => each == 1
        ? PrivateBatch.OneEach([.. units.Select(unit => (long)unit)])
        : new([.. units.SelectMany(unit => Enumerable.Range(unit * each, each)).Select(record => (long)record)], BatchUnits.Of([.. Enumerable.Range(0, units.Length * each).Select(i => i / each)], units.Length), [.. Enumerable.Repeat(1f / each, units.Length * each)]);

    private static DpTrainer Trainer(nn.Module model, int records, ClippedSumMethod method = ClippedSumMethod.BookKeeping)
    {
        DpSgdOptions options = DpSgdOptionsTests.Valid();
        (options.SamplingRate, options.Method) = (1, method);
        return new(model, optim.SGD(model.parameters(), 0.1), PrivacyUnits.Records(records), options.ToParameters(), new SecureRandom());
    }

    private static float[] Weights(nn.Module model)
    {
        using IDisposable scope = NewDisposeScope();
        return cat([.. model.parameters().Select(parameter => parameter.detach().flatten())]).data<float>().ToArray();
    }
}
