using CsCheck;
using Federation.Learning.DifferentialPrivacy;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

public sealed class RecurrentTests
{
    private static readonly Gen<(int Inputs, int Hidden, RecurrentOptions Options, bool Initial, int Steps, int Records)> s_cases = Gen.Select(
        Gen.Int[1, 5], Gen.Int[1, 5], Gen.Int[1, 3], Gen.Bool.Array[4], Gen.Int[1, 6], Gen.Int[1, 4],
        (inputs, hidden, layers, flags, steps, records) => (inputs, hidden, new RecurrentOptions { Layers = layers, BatchFirst = flags[0], Bidirectional = flags[1], HasBias = flags[2] }, flags[3], steps, records));

    [Fact]
    public void DpLstm_FromTorchs_GivesTheSameAndGivesWeightsBack() => s_cases.Sample(one =>
    {
        using IDisposable scope = NewDisposeScope();
        RecurrentOptions options = one.Options;
        LstmOf(one.Inputs, one.Hidden, options, out TorchSharp.Modules.LSTM torchs, out TorchSharp.Modules.LSTM other);
        DpLstm own = DpLstm.From(torchs, options);
        Tensor input = options.BatchFirst ? randn(one.Records, one.Steps, one.Inputs) : randn(one.Steps, one.Records, one.Inputs);
        long states = options.Layers * (options.Bidirectional ? 2 : 1);
        (Tensor, Tensor)? initial = one.Initial ? (randn(states, one.Records, one.Hidden), randn(states, one.Records, one.Hidden)) : null;
        (Tensor output, Tensor h, Tensor c) = own.call(input, initial);
        (Tensor expected, Tensor expectedH, Tensor expectedC) = torchs.call(input, initial);
        AssertClose(expected, output);
        AssertClose(expectedH, h);
        AssertClose(expectedC, c);
        own.CopyTo(other);
        AssertClose(expected, other.call(input, initial).Item1);
    }, iter: 30, threads: 1);

    [Fact]
    public void DpGru_FromTorchs_GivesTheSameAndGivesWeightsBack() => s_cases.Sample(one =>
    {
        using IDisposable scope = NewDisposeScope();
        RecurrentOptions options = one.Options;
        TorchSharp.Modules.GRU torchs = Gru(one.Inputs, one.Hidden, options), other = Gru(one.Inputs, one.Hidden, options);
        DpGru own = DpGru.From(torchs, options);
        Tensor input = options.BatchFirst ? randn(one.Records, one.Steps, one.Inputs) : randn(one.Steps, one.Records, one.Inputs);
        Tensor? initial = one.Initial ? randn(options.Layers * (options.Bidirectional ? 2 : 1), one.Records, one.Hidden) : null;
        (Tensor output, Tensor h) = own.call(input, initial);
        (Tensor expected, Tensor expectedH) = torchs.call(input, initial);
        AssertClose(expected, output);
        AssertClose(expectedH, h);
        own.CopyTo(other);
        AssertClose(expected, other.call(input, initial).Item1);
    }, iter: 30, threads: 1);

    [Fact]
    public void From_OtherOptions_IsRefused()
    {
        using TorchSharp.Modules.LSTM torchs = nn.LSTM(3, 4, numLayers: 2);
        Assert.Throws<LearningException>(() => DpLstm.From(torchs, new()));
        Assert.Throws<LearningException>(() => DpLstm.From(torchs, new() { Layers = 2, HasBias = false }));
        using DpLstm own = new(3, 4);
        Assert.Contains("[records, steps, values]", Assert.Throws<LearningException>(() => own.call(randn(3, 4))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void DpTrainer_TorchsLstm_GoesRecordByRecordAndSaysWhatIsFaster()
    {
        using TorchSharp.Modules.LSTM model = nn.LSTM(3, 4, batchFirst: true);
        using var optimizer = optim.SGD(model.parameters(), 0.1);
        using Federation.Privacy.Mechanisms.SecureRandom generator = new();
        DpSgdOptions options = DpSgdOptionsTests.Valid();
        options.SamplingRate = 1;
        using DpTrainer trainer = new(model, optimizer, PrivacyUnits.Records(6), options.ToParameters(), generator);
        Assert.Equal(ClippedSumMethod.RecordByRecord, trainer.Method);
        Assert.Contains("DpLstm", trainer.MethodReason, StringComparison.Ordinal);
        Tensor inputs = randn(6, 5, 3);
        Assert.Equal(6, trainer.Step(indices => model.call(inputs.index_select(0, indices)).Item1.square().sum(new long[] { 1, 2 })).Units);
    }

    private static void LstmOf(int inputs, int hidden, RecurrentOptions options, out TorchSharp.Modules.LSTM one, out TorchSharp.Modules.LSTM other)
    {
        one = nn.LSTM(inputs, hidden, options.Layers, options.HasBias, options.BatchFirst, 0, options.Bidirectional);
        other = nn.LSTM(inputs, hidden, options.Layers, options.HasBias, options.BatchFirst, 0, options.Bidirectional);
    }

    private static TorchSharp.Modules.GRU Gru(int inputs, int hidden, RecurrentOptions options) => nn.GRU(inputs, hidden, options.Layers, options.HasBias, options.BatchFirst, 0, options.Bidirectional);

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.True((expected - actual).abs().max().item<float>() < 1e-5f);
    }
}
