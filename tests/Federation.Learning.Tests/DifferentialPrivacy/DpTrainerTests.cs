using System.Globalization;
using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;
using Federation.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

public sealed class DpTrainerTests
{
    [Theory]
    [InlineData(ClippedSumMethod.BookKeeping)]
    [InlineData(ClippedSumMethod.RecordByRecord)]
    public void Step_LittleNoise_IsTheClippedMean(ClippedSumMethod method)
    {
        using Linear model = new(30, 1);
        using var optimizer = optim.SGD(model.Module.parameters(), 1);
        DpSgdOptions options = DpSgdOptionsTests.Valid();
        (options.SamplingRate, options.NoiseMultiplier, options.ClippingNorm, options.Method, options.ExpectedBatchSize) = (1, 1e-6, 0.5, method, 10);
        using SecureRandom random = new();
        using DpTrainer trainer = new(model.Module, optimizer, PrivacyUnits.Records(model.Count), options.ToParameters(), random);
        float[] expected = new float[model.Width];
        foreach (float[] gradient in model.Gradients())
        {
            Clipping.Flat(gradient, 0.5);
            for (int i = 0; i < expected.Length; i++) expected[i] += gradient[i] / 10;
        }

        float[] before = model.Weights();
        PrivateFigures figures = trainer.Step(model.Losses);
        Assert.Equal((30, 30), (figures.Records, figures.Units));
        Assert.InRange(figures.Clipped, 1, 30);
        Assert.Equal(method, trainer.Method);
        float[] after = model.Weights();
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], before[i] - after[i], 1e-5f);
    }

    [Theory] // false alarms: 1 in a million each
    [InlineData(1.0, 1.0, 8.0)]
    [InlineData(0.3, 25.0, 512.0)]
    public void Step_EmptySample_IsNoiseAloneOfTheStatedWidth(double noiseMultiplier, double norm, double divisor)
    {
        using Linear model = new(5, 4000); // 16,000 values: and with the biases more than what one thread draws alone
        using var optimizer = optim.SGD(model.Module.parameters(), 1);
        DpSgdOptions options = DpSgdOptionsTests.Valid();
        (options.SamplingRate, options.NoiseMultiplier, options.ClippingNorm, options.ExpectedBatchSize) = (1e-30, noiseMultiplier, norm, divisor);
        using SecureRandom random = new();
        using DpTrainer trainer = new(model.Module, optimizer, PrivacyUnits.Records(model.Count), options.ToParameters(), random);
        float[] before = model.Weights();
        PrivateFigures figures = trainer.Step(_ => throw new InvalidOperationException("There is no record."));
        Assert.Equal(PrivateFigures.None, figures);
        Assert.Equal(1, trainer.Steps);
        double deviation = noiseMultiplier * norm / divisor;
        float[] after = model.Weights();
        double square = before.Zip(after).Sum(pair => Math.Pow(pair.First - (double)pair.Second, 2));
        Assert.Equal(deviation, Math.Sqrt(square / before.Length), deviation * ((5 / Math.Sqrt(2.0 * before.Length)) + 1e-3));
        Assert.Equal(0, before.Zip(after).Average(pair => pair.First - (double)pair.Second), deviation * 5 / Math.Sqrt(before.Length));
    }

    [Fact]
    public void StepEvent_ReferenceRows_CostWhatTheyPublish()
    {
        string table = Path.Combine(Repository.Root, "tests", "reference", "dp", "rdp_epsilon.csv");
        using SecureRandom random = new();
        int rows = 0;
        foreach (string[] row in File.ReadLines(table).Skip(1).Select(line => line.Split(',')))
        {
            (double rate, double noise, long steps, double delta) = (Number(row[1]), Number(row[2]), long.Parse(row[3], CultureInfo.InvariantCulture), Number(row[4]));
            if (steps > 2000) continue;
            using Linear model = new(5, 3);
            using var optimizer = optim.SGD(model.Module.parameters(), 1);
            DpSgdOptions options = DpSgdOptionsTests.Valid();
            (options.SamplingRate, options.NoiseMultiplier, options.ClippingNorm) = (rate, noise, 3.7);
            using DpTrainer trainer = new(model.Module, optimizer, PrivacyUnits.Records(5), options.ToParameters(), random);
            double epsilon = new PldAccountant().AtDelta([new RepeatedEvent(trainer.StepEvent, steps)], delta, NeighboringRelation.AddOrRemoveOne).Epsilon, published = Number(row[6]);
            // The grid costs up to 2⁻¹² of the noise; never less than what the exact mechanism costs, but for the published figure's own error.
            Assert.InRange(epsilon, (published * (1 - 1e-3)) - 1e-7, (published * (1 + 2e-3)) + 1e-7);
            rows++;
        }

        Assert.InRange(rows, 5, 100);
    }

    [Fact]
    public void Epsilon_AfterSteps_IsTheAccountantsOfSoManyEvents()
    {
        using Linear model = new(20, 3);
        using var optimizer = optim.Adam(model.Module.parameters());
        using SecureRandom random = new();
        using DpTrainer trainer = new(model.Module, optimizer, PrivacyUnits.Records(20), DpSgdOptionsTests.Valid().ToParameters(), random);
        Assert.Equal(0, trainer.Epsilon(1e-5).Epsilon);
        for (int i = 0; i < 7; i++) trainer.Step(model.Losses);
        double expected = new PldAccountant().AtDelta([new RepeatedEvent(new GaussianEvent(1, 0.25), 7)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.InRange(trainer.Epsilon(1e-5).Epsilon, expected, expected * 1.002);
        Assert.Equal(7, Assert.IsType<RepeatedEvent>(Assert.Single(trainer.Events)).Count);
    }

    [Theory]
    [InlineData("sgd")]
    [InlineData("adam")]
    [InlineData("adamw")]
    public void Step_KnownKey_RepeatsBitForBit(string kind)
    {
        Assert.Equal(Trained(kind, 64, 3), Trained(kind, 64, 3));
        Assert.NotEqual(Trained(kind, 64, 3), Trained(kind, 64, 4));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1000)]
    public void Step_OtherPhysicalBatchSize_ChangesNothing(int physical)
    {
        float[] one = Trained("sgd", 64, 3), other = Trained("sgd", physical, 3);
        for (int i = 0; i < one.Length; i++) Assert.Equal(one[i], other[i], 2e-5f);
    }

    [Fact] // few records until it is known what one takes: 4 inputs and 3 outputs with their gradients; then as many as 2^27 values are room for, or as were asked for
    public void Step_RecordsAtOnce_FollowFromTheShapesOfLayers()
    {
        using Linear model = new(40, 3);
        using var optimizer = optim.SGD(model.Module.parameters(), 1);
        DpSgdOptions options = DpSgdOptionsTests.Valid();
        (options.SamplingRate, options.PhysicalBatchSize) = (1, 30);
        using SecureRandom random = new();
        using DpTrainer trainer = new(model.Module, optimizer, PrivacyUnits.Records(40), options.ToParameters(), random);
        List<long> sizes = [];
        trainer.Step(Seen);
        Assert.Equal([22, 10], sizes[^2..]); // of 30 the first 8 alone, then the rest
        sizes.Clear();
        trainer.Step(Seen);
        Assert.Equal([30, 10], sizes);
        using BookKeeping sum = new(new(model.Module), ModelLayers.Of(model.Module, new(model.Module)), new(), ClippingKind.Flat, [1], 0.01);
        Assert.Equal(8, sum.MostRecords);
        sum.Add(model.Losses, PrivateBatch.OneEach([.. Enumerable.Range(0, 40).Select(i => (long)i)]));
        Assert.Equal((1 << 27) / 10, sum.MostRecords);

        Tensor Seen(Tensor indices)
        {
            sizes.Add(indices.shape[0]);
            return model.Losses(indices);
        }
    }

    [Fact]
    public void Step_LossesAreOneMean_SaysWhatIsNeeded()
    {
        using Linear model = new(20, 3);
        using var optimizer = optim.SGD(model.Module.parameters(), 1);
        DpSgdOptions options = DpSgdOptionsTests.Valid();
        options.SamplingRate = 1;
        using SecureRandom random = new();
        using DpTrainer trainer = new(model.Module, optimizer, PrivacyUnits.Records(20), options.ToParameters(), random);
        LearningException error = Assert.Throws<LearningException>(() => trainer.Step(indices => model.Losses(indices).mean()));
        Assert.Contains("Reduction.None", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, trainer.Steps);
    }

    private static float[] Trained(string kind, int physical, byte key)
    {
        random.manual_seed(1);
        using Linear model = new(200, 5);
        using optim.Optimizer optimizer = kind switch
        {
            "sgd" => optim.SGD(model.Module.parameters(), 0.1, momentum: 0.9),
            "adam" => optim.Adam(model.Module.parameters(), 0.01),
            _ => optim.AdamW(model.Module.parameters(), 0.01),
        };
        using SecureRandom generator = SecureRandom.WithKnownKey([.. Enumerable.Repeat(key, 32)]);
        DpSgdOptions options = DpSgdOptionsTests.Valid();
        options.PhysicalBatchSize = physical;
        using DpTrainer trainer = new(model.Module, optimizer, PrivacyUnits.ByKey([.. Enumerable.Range(0, 200).Select(i => $"{i * i % 83}")], 2), options.ToParameters(), generator);
        for (int i = 0; i < 5; i++) trainer.Step(model.Losses);
        return model.Weights();
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>Regression by one linear layer.</summary>
    private sealed class Linear : IDisposable
    {
        private readonly Tensor _inputs, _targets;

        public Linear(int count, int outputs)
        {
            Module = nn.Linear(4, outputs);
            (Count, _inputs, _targets) = (count, randn(count, 4), randn(count, outputs));
        }

        public TorchSharp.Modules.Linear Module { get; }

        public int Count { get; }

        public int Width => (int)Module.parameters().Sum(parameter => parameter.numel());

        public Tensor Losses(Tensor indices) => (Module.call(_inputs.index_select(0, indices)) - _targets.index_select(0, indices)).square().mean(new long[] { 1 });

        public IEnumerable<float[]> Gradients()
        {
            for (long record = 0; record < Count; record++)
            {
                using IDisposable scope = NewDisposeScope();
                Tensor[] parameters = [.. Module.parameters()];
                yield return cat([.. autograd.grad([Losses(tensor(new[] { record })).sum()], parameters).Select(gradient => gradient.flatten())]).data<float>().ToArray();
            }
        }

        public float[] Weights()
        {
            using IDisposable scope = NewDisposeScope();
            return cat([.. Module.parameters().Select(parameter => parameter.detach().flatten())]).data<float>().ToArray();
        }

        public void Dispose()
        {
            Module.Dispose();
            _inputs.Dispose();
            _targets.Dispose();
        }
    }
}
