using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Layers that normalise within one record.</summary>
public static class Normalization
{
    /// <summary>A GroupNorm that begins with weight 1 and bias 0, as PyTorch's does.</summary>
    /// <remarks>TorchSharp 0.107 leaves both as whatever lay in the memory: <c>nn.GroupNorm</c> alone may begin with NaN.</remarks>
    public static GroupNorm Group(long groups, long channels, double eps = 1e-5, bool affine = true)
    {
        GroupNorm made = nn.GroupNorm(groups, channels, eps, affine);
        if (!affine) return made;
        nn.init.ones_(made.weight!);
        nn.init.zeros_(made.bias!);
        return made;
    }
}
