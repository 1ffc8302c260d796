using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

/// <summary>A repaired model runs, trains, keeps records apart, and its normalisation leaves something of them.</summary>
public sealed class ModelFixerTests
{
    public static TheoryData<string, int> Cases => new()
    {
        { "linear", 8 }, { "linear", 64 }, { "linear", 7 }, { "linear", 3 }, { "plain linear", 8 },
        { "conv1d", 8 }, { "conv1d", 7 }, { "conv1d", 1 }, { "conv2d", 8 }, { "conv2d", 7 }, { "conv2d", 64 }, { "pixel", 8 }, { "pixel", 7 }, { "conv3d", 4 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Fix_BatchNorm_GivesAModelThatRunsTrainsAndKeepsRecordsApart(string kind, int width)
    {
        random.manual_seed(width);
        (nn.Module<Tensor, Tensor> broken, Tensor inputs) = Model(kind, width);
        using nn.Module<Tensor, Tensor> model = ModelFixer.Fix(broken, out IReadOnlyList<string> changes);
        Assert.NotEmpty(changes);
        Assert.Empty(ModelCheck.Problems(model));
        Tensor before = Outputs(model, inputs), changed = inputs.clone();
        changed[0] = randn_like(changed[0]);
        Tensor after = Outputs(model, changed);
        Assert.Equal(before.slice(0, 1, 6, 1).data<float>().ToArray(), after.slice(0, 1, 6, 1).data<float>().ToArray());
        Assert.True((before[0] - after[0]).abs().max().item<float>() > 1e-4f, "The output does not depend on the record.");

        using var optimizer = optim.SGD(model.parameters(), 0.1);
        using SecureRandom generator = new();
        DpSgdOptions options = DpSgdOptionsTests.Valid();
        options.SamplingRate = 1;
        using DpTrainer trainer = new(model, optimizer, PrivacyUnits.Records(6), options.ToParameters(), generator);
        Assert.Equal(ClippedSumMethod.BookKeeping, trainer.Method);
        Assert.Equal(6, trainer.Step(indices => model.call(inputs.index_select(0, indices)).square().mean(new long[] { 1 })).Units);
        Assert.All(model.parameters(), parameter => Assert.True(parameter.isfinite().all().item<bool>()));
    }

    [Theory]
    [InlineData(48, 24)]
    [InlineData(64, 32)]
    [InlineData(8, 4)]
    [InlineData(7, 1)]
    [InlineData(1, 1)]
    [InlineData(96, 32)]
    public void Fix_BatchNorm2d_HasGroupsOfTwoChannelsAtLeast(int channels, int groups)
    {
        var made = Assert.IsType<TorchSharp.Modules.GroupNorm>(ModelFixer.Fix<nn.Module>(nn.BatchNorm2d(channels), out _));
        Assert.Equal(groups, made.num_groups);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Fix_BatchNorm1d_KeepsWeightBiasAndNames(bool affine)
    {
        TorchSharp.Modules.BatchNorm1d norm = nn.BatchNorm1d(5, affine: affine);
        if (affine)
        {
            nn.init.uniform_(norm.weight!);
            nn.init.uniform_(norm.bias!);
            norm.bias!.requires_grad = false;
        }

        norm.eval();
        var made = Assert.IsType<ChannelNorm>(ModelFixer.Fix<nn.Module>(norm, out _));
        Assert.Equal(affine ? ["weight", "bias"] : [], made.state_dict().Keys);
        Assert.False(made.training);
        if (!affine) return;
        Assert.Equal(norm.weight!.data<float>().ToArray(), made.Weight!.data<float>().ToArray());
        Assert.Equal(norm.bias!.data<float>().ToArray(), made.Bias!.data<float>().ToArray());
        Assert.False(made.Bias!.requires_grad);
    }

    [Fact]
    public void ChannelNorm_ThreeDimensions_EqualsGroupNormOfOneGroup()
    {
        using ChannelNorm own = new(6, 1e-3);
        using TorchSharp.Modules.GroupNorm torchs = Normalization.Group(1, 6, 1e-3);
        nn.init.uniform_(own.Weight!);
        nn.init.uniform_(own.Bias!);
        using IDisposable off = no_grad();
        torchs.weight!.copy_(own.Weight!);
        torchs.bias!.copy_(own.Bias!);
        Tensor input = randn(4, 6, 5);
        Assert.True((own.call(input) - torchs.call(input)).abs().max().item<float>() < 1e-5f);
        Assert.Contains("[records, 6]", Assert.Throws<LearningException>(() => own.call(randn(4, 5))).Message, StringComparison.Ordinal);
        using ChannelNorm one = new(1);
        Assert.Contains("one value a record", Assert.Throws<LearningException>(() => one.call(randn(4, 1))).Message, StringComparison.Ordinal);
        Assert.Equal([4, 1, 2], one.call(randn(4, 1, 2)).shape);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void ChannelNorm_Add_EqualsOneBackwardPassARecord(int dimensions)
    {
        using Twins twins = new(
            dimensions == 2 ? nn.Sequential(nn.Linear(4, 6), new ChannelNorm(6), nn.Tanh(), nn.Linear(6, 2)) : nn.Sequential(nn.Conv1d(2, 6, 3L), new ChannelNorm(6), nn.Tanh(), nn.Conv1d(6, 2, 2L)),
            dimensions == 2 ? randn(7, 4) : randn(7, 2, 6));
        twins.AssertEqual();
    }

    private static Tensor Outputs(nn.Module<Tensor, Tensor> model, Tensor inputs)
    {
        using IDisposable off = no_grad();
        return model.call(inputs).reshape(inputs.shape[0], -1).contiguous();
    }

    private static (nn.Module<Tensor, Tensor> Model, Tensor Inputs) Model(string kind, int width) => kind switch
    {
        "linear" => (nn.Sequential(nn.Linear(5, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 2)), randn(6, 5)),
        "plain linear" => (nn.Sequential(nn.Linear(5, width), nn.BatchNorm1d(width, affine: false), nn.Linear(width, 2)), randn(6, 5)),
        "conv1d" => (nn.Sequential(nn.Conv1d(2, width, 3L), nn.BatchNorm1d(width), nn.Tanh(), nn.Flatten(), nn.Linear(4 * width, 2)), randn(6, 2, 6)),
        "conv2d" => (nn.Sequential(nn.Conv2d(1, width, 3L), nn.BatchNorm2d(width), nn.Tanh(), nn.Conv2d(width, 4, 3L, stride: 2L), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)), randn(6, 1, 7, 7)),
        "pixel" => (nn.Sequential(nn.Conv2d(1, width, 5L), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width, 2)), randn(6, 1, 5, 5)),
        _ => (nn.Sequential(nn.Conv3d(1, width, 2L), nn.BatchNorm3d(width), nn.Flatten(), nn.Linear(width, 2)), randn([6, 1, 2, 2, 2])),
    };
}
