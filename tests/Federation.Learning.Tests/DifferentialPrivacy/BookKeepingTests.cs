using CsCheck;
using Federation.Learning.DifferentialPrivacy;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

/// <summary>Norms and clipped sums against one backward pass a record (<see cref="Twins"/>), in random architectures.</summary>
public sealed class BookKeepingTests
{
    private const int Iterations = 40;
    private static readonly Gen<int> s_channels = Gen.OneOf(Gen.Int[1, 3], Gen.Int[8, 10]); // few and many are unfolded differently
    private static readonly Gen<long> s_seed = Gen.Long[1, 1L << 40];

    [Fact]
    public void Add_AnyMultilayerPerceptron_EqualsOneBackwardPassARecord() =>
        Gen.Select(Gen.Int[1, 40].Array[2, 5], Gen.Int[1, 20], Gen.Bool, s_seed).Sample((widths, records, hasBias, seed) =>
        {
            random.manual_seed(seed);
            List<nn.Module<Tensor, Tensor>> modules = [];
            for (int i = 0; i + 1 < widths.Length; i++)
            {
                modules.Add(nn.Linear(widths[i], widths[i + 1], hasBias: hasBias || i == 0));
                modules.Add(i % 2 == 0 ? nn.ReLU() : nn.Tanh());
            }

            using Twins twins = new(nn.Sequential(modules), randn(records, widths[0]));
            twins.AssertEqual();
        }, iter: Iterations, threads: 1);

    [Fact]
    public void Add_LinearOnSequences_EqualsOneBackwardPassARecord() =>
        Gen.Select(Gen.Int[1, 70], Gen.Int[1, 70], Gen.Int[1, 12], Gen.Int[1, 9], s_seed).Sample((inputs, outputs, steps, records, seed) =>
        {
            random.manual_seed(seed);
            using Twins twins = new(nn.Sequential(nn.Linear(inputs, outputs), nn.GELU(), nn.Linear(outputs, 3, hasBias: false)), randn(records, steps, inputs));
            twins.AssertEqual();
        }, iter: Iterations, threads: 1);

    [Fact]
    public void Add_AnyConv2d_EqualsOneBackwardPassARecord() =>
        Gen.Select(Gen.Int[1, 3], s_channels, Gen.Int[1, 3], Kernel, Kernel, Gen.Int[0, 4], Gen.Int[1, 6], s_seed).Sample((groups, inputs, outputs, height, width, mode, records, seed) =>
        {
            random.manual_seed(seed);
            bool same = mode == 4;
            PaddingModes padding = (PaddingModes[])[PaddingModes.Zeros, PaddingModes.Reflect, PaddingModes.Replicate, PaddingModes.Circular, PaddingModes.Zeros] is { } modes ? modes[mode] : default;
            (long, long) kernel = (height.Size, width.Size), stride = (height.Stride, width.Stride), dilation = (height.Dilation, width.Dilation);
            nn.Module<Tensor, Tensor> first = same
                ? nn.Conv2d(groups * inputs, groups * outputs, kernel, padding: Padding.Same, dilation: dilation, groups: groups, bias: seed % 2 == 0)
                : nn.Conv2d(groups * inputs, groups * outputs, kernel, stride: stride, padding: ((long, long)?)(height.Padding, width.Padding), dilation: dilation, groups: groups, bias: seed % 2 == 0, padding_mode: padding);
            using Twins twins = new(nn.Sequential(first, nn.ReLU(), nn.Conv2d(groups * outputs, 2, (1L, 1L))), randn(records, groups * inputs, 9, 11));
            twins.AssertEqual();
        }, iter: 2 * Iterations, threads: 1);

    [Fact]
    public void Add_AnyConv1d_EqualsOneBackwardPassARecord() =>
        Gen.Select(Gen.Int[1, 3], s_channels, Gen.Int[1, 3], Kernel, Gen.Int[0, 3], Gen.Int[1, 6], s_seed).Sample((groups, inputs, outputs, kernel, mode, records, seed) =>
        {
            random.manual_seed(seed);
            PaddingModes[] modes = [PaddingModes.Zeros, PaddingModes.Reflect, PaddingModes.Replicate, PaddingModes.Circular];
            using Twins twins = new(
                nn.Sequential(
                    nn.Conv1d(groups * inputs, groups * outputs, kernel.Size, stride: kernel.Stride, padding: kernel.Padding, dilation: kernel.Dilation, groups: groups, bias: seed % 2 == 0, padding_mode: modes[mode]),
                    nn.Tanh(), nn.Conv1d(groups * outputs, 3, 1L)),
                randn(records, groups * inputs, 13));
            twins.AssertEqual();
        }, iter: Iterations, threads: 1);

    [Fact] // wide channels on a small image: Gram matrices, and the sum from the graph
    public void Add_WideConvolution_EqualsOneBackwardPassARecord() =>
        Gen.Select(Gen.Int[40, 80], Gen.Int[1, 2], Gen.Int[1, 5], s_seed).Sample((channels, groups, records, seed) =>
        {
            random.manual_seed(seed);
            using Twins twins = new(
                nn.Sequential(nn.Conv2d(groups * channels, groups * channels, (3L, 3L), padding: ((long, long)?)(1, 1), groups: groups), nn.ReLU(), nn.Conv2d(groups * channels, 4, (2L, 2L))),
                randn(records, groups * channels, 2, 3));
            twins.AssertEqual();
        }, iter: Iterations / 2, threads: 1);

    [Fact]
    public void Add_NormalisedConvolutions_EqualsOneBackwardPassARecord() =>
        Gen.Select(Gen.Int[1, 4], Gen.Int[1, 4], Gen.Int[1, 6], s_seed).Sample((groups, each, records, seed) =>
        {
            random.manual_seed(seed);
            long channels = groups * each;
            using Twins twins = new(
                nn.Sequential(
                    nn.Conv2d(2, channels, (3L, 3L)), Normalization.Group(groups, channels), nn.ReLU(), nn.LayerNorm([channels, 4, 5]), nn.Flatten(),
                    nn.Linear(channels * 20, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 2)),
                randn(records, 2, 6, 7));
            twins.AssertEqual();
        }, iter: Iterations, threads: 1);

    [Theory]
    [InlineData(null)]
    [InlineData(0)]
    [InlineData(4)]
    public void Add_AnyEmbedding_EqualsOneBackwardPassARecord(int? padding) =>
        Gen.Select(Gen.Int[5, 30], Gen.Int[1, 12], Gen.Int[1, 20], Gen.Int[1, 8], s_seed).Sample((words, width, steps, records, seed) =>
        {
            random.manual_seed(seed);
            using Twins twins = new(nn.Sequential(nn.Embedding(words, width, padding_idx: padding), nn.Tanh(), nn.Linear(width, 3)), randint(0, words, [records, steps], dtype: ScalarType.Int64));
            twins.AssertEqual();
        }, iter: Iterations, threads: 1);

    [Fact]
    public void Add_AnyLstmOrGru_EqualsOneBackwardPassARecord() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[1, 6], Gen.Int[1, 2], Gen.Bool, Gen.Bool, Gen.Int[1, 7], Gen.Int[1, 6], s_seed).Sample((inputs, hidden, layers, both, lstm, steps, records, seed) =>
        {
            random.manual_seed(seed);
            using Twins twins = new(new Recurrent(inputs, hidden, new() { Layers = layers, Bidirectional = both, BatchFirst = true, HasBias = seed % 2 == 0 }, lstm), randn(records, steps, inputs));
            twins.AssertEqual();
        }, iter: Iterations / 2, threads: 1);

    [Fact]
    public void Add_ModulesWithoutRule_EqualsOneBackwardPassARecord() =>
        Gen.Select(Gen.Int[1, 5], Gen.Int[1, 6], s_seed).Sample((channels, records, seed) =>
        {
            random.manual_seed(seed);
            using Twins twins = new(
                nn.Sequential(nn.ConvTranspose1d(channels, 3, 3L), nn.InstanceNorm1d(3, affine: true), nn.PReLU(3), new Scaled(3), nn.Flatten(), nn.Linear(21, 2)),
                randn(records, channels, 5));
            twins.AssertEqual();
        }, iter: Iterations / 2, threads: 1);

    [Fact]
    public void Add_PersonsWithSeveralRecords_EqualsOneBackwardPassAPerson() =>
        Gen.Select(Gen.Int[0, 3].Array[1, 10], Gen.Int[0, 3], s_seed).Sample((people, kind, seed) =>
        {
            random.manual_seed(seed);
            using Twins twins = kind switch
            {
                0 => new(nn.Sequential(nn.Linear(4, 30), nn.ReLU(), nn.Linear(30, 2)), randn(people.Length, 4)),
                1 => new(nn.Sequential(nn.Conv2d(2, 16, (2L, 3L), stride: (2L, 1L)), Normalization.Group(2, 16), nn.ReLU(), nn.Conv2d(16, 4, (1L, 2L), groups: 2), nn.Conv2d(4, 2, (1L, 2L), groups: 2)), randn(people.Length, 2, 5, 6)),
                2 => new(nn.Sequential(nn.Embedding(6, 5, padding_idx: 2), nn.LayerNorm(5), nn.Linear(5, 2)), randint(0, 6, [people.Length, 4], dtype: ScalarType.Int64)),
                _ => new(new Recurrent(3, 4, new() { BatchFirst = true }, true), randn(people.Length, 3, 3)),
            };
            // In order of first appearance, as PrivacyUnits gives them, one after another.
            int[] order = [.. people.Distinct()];
            (int Person, int Record)[] sorted = [.. people.Select((person, i) => (Array.IndexOf(order, person), i)).OrderBy(entry => entry.Item1)];
            int[] units = [.. sorted.Select(entry => entry.Person)];
            float[] weights = [.. units.Select(unit => 1f / units.Count(other => other == unit))];
            twins.AssertEqual(new([.. sorted.Select(entry => (long)entry.Record)], BatchUnits.Of(units, order.Length), weights));
        }, iter: 2 * Iterations, threads: 1);

    [Fact]
    public void Add_LayerUsedTwiceOrFrozen_EqualsOneBackwardPassARecord() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[1, 6], Gen.Bool, s_seed).Sample((width, records, frozen, seed) =>
        {
            random.manual_seed(seed);
            using Twins twins = new(new Twice(width, frozen), randn(records, width, 5));
            twins.AssertEqual();
        }, iter: Iterations, threads: 1);

    private static Gen<(int Size, int Stride, int Dilation, int Padding)> Kernel => Gen.Select(Gen.Int[1, 4], Gen.Int[1, 3], Gen.Int[1, 2], Gen.Int[0, 2]);

    internal sealed class Recurrent : nn.Module<Tensor, Tensor>
    {
        private readonly DpLstm? lstm;
        private readonly DpGru? gru;

        public Recurrent(long inputs, long hidden, RecurrentOptions options, bool long_)
            : base(nameof(Recurrent))
        {
            if (long_) lstm = new(inputs, hidden, options);
            else gru = new(inputs, hidden, options);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            if (lstm is null) return gru!.call(input).output;
            (Tensor output, _, Tensor c) = lstm.call(input);
            return cat([output.flatten(1), c.transpose(0, 1).flatten(1)], 1);
        }
    }

    /// <summary>A user's module with a parameter of its own.</summary>
    private sealed class Scaled : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.Parameter scale;

        public Scaled(long channels)
            : base(nameof(Scaled))
        {
            scale = nn.Parameter(randn(channels, 1));
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => input * scale.exp();
    }

    private sealed class Twice : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.Conv1d convolution;
        private readonly TorchSharp.Modules.Linear linear;

        public Twice(long width, bool frozen)
            : base(nameof(Twice))
        {
            (convolution, linear) = (nn.Conv1d(width, width, 3L, padding: 1L), nn.Linear(5, 5));
            convolution.weight!.requires_grad = !frozen;
            linear.bias!.requires_grad = !frozen;
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => linear.call(convolution.call(linear.call(convolution.call(input)).tanh())) + linear.call(input);
    }
}
