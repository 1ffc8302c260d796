using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>GroupNorm with one group, for inputs [B, C] as well as [B, C, …]: each record is normalised over all its values, then scaled and shifted by channel. In place of BatchNorm1d, which takes both.</summary>
/// <remarks>Wu and He 2018; TorchSharp's GroupNorm refuses [B, C].</remarks>
public sealed class ChannelNorm : nn.Module<Tensor, Tensor>
{
    private readonly double _eps;

    /// <param name="channels">C</param>
    /// <param name="affine">Whether there is a weight, 1 at first, and a bias, 0 at first, for each channel.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no channel.</exception>
    public ChannelNorm(long channels, double eps = 1e-5, bool affine = true)
        : base(nameof(ChannelNorm))
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(channels);
        (Channels, _eps) = (channels, eps);
        if (!affine) return;
        (Weight, Bias) = (nn.Parameter(ones(channels)), nn.Parameter(zeros(channels)));
        register_parameter("weight", Weight);
        register_parameter("bias", Bias);
    }

    public long Channels { get; }

    /// <summary>[C]; null without <c>affine</c>.</summary>
    public Parameter? Weight { get; }

    /// <summary>[C]; null without <c>affine</c>.</summary>
    public Parameter? Bias { get; }

    /// <exception cref="LearningException">The input has other channels, or one value a record, which would become 0 whatever it is.</exception>
    public override Tensor forward(Tensor input)
    {
        if (input.dim() < 2 || input.shape[1] != Channels) throw new LearningException($"ChannelNorm of {Channels} channels got an input of shape [{string.Join(", ", input.shape)}]; [records, {Channels}] or [records, {Channels}, …] is right.");
        if (input.shape[0] > 0 && input.numel() == input.shape[0]) throw new LearningException($"ChannelNorm got one value a record, of shape [{string.Join(", ", input.shape)}]: normalised, it would be 0 whatever it was. Leave the layer out.");
        Tensor normalized = Normalized(input);
        if (Weight is null) return normalized;
        long[] shape = [Channels, .. Enumerable.Repeat(1L, (int)input.dim() - 2)];
        return (normalized * Weight.view(shape)).Plus(Bias!.view(shape));
    }

    /// <summary>(x − mean)/√(variance + ε), of each record.</summary>
    internal Tensor Normalized(Tensor input) => nn.functional.layer_norm(input, input.shape[1..], null, null, _eps);
}
