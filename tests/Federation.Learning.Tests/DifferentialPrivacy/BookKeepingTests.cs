using CsCheck;
using Federation.Learning.DifferentialPrivacy;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

public sealed class BookKeepingTests
{
    private const int Iterations = 30;

    [Fact]
    public void Add_AnyMultilayerPerceptron_EqualsOneBackwardPassARecord() =>
        Gen.Select(Gen.Int[1, 40].Array[2, 5], Gen.Int[1, 20], Gen.Bool, Gen.Long[1, 1L << 40]).Sample((widths, records, hasBias, seed) =>
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
}
