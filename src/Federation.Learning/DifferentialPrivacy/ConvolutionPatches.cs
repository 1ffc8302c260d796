using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>
/// The input's patches under a kernel, by one strided copy (torch's unfold takes three times as long). Of a Conv2d; a Conv1d is one of height 1.
/// With enough channels in a group they come last, (place in the kernel, channel), because then whole runs are copied; otherwise the order is the weight's.
/// </summary>
internal sealed class ConvolutionPatches
{
    private const long LeastChannelsLast = 8;

    private readonly long _groups, _channels; // of one group
    private readonly (long Height, long Width) _kernel, _stride, _dilation;
    private readonly long[] _padding; // as functional.pad takes it: the last dimension first
    private readonly PaddingModes _mode;
    private readonly bool _channelsLast;
    private readonly long[] _weight;

    private ConvolutionPatches(Convolution module)
    {
        (_groups, _channels, _weight) = (module.groups, module.in_channels / module.groups, module.weight!.shape);
        (_kernel, _stride, _dilation) = (Pair(module.kernel_size), Pair(module.stride), Pair(module.dilation));
        _mode = module.padding_mode == PaddingModes.Zeros ? PaddingModes.Constant : module.padding_mode;
        _padding = [.. Enumerable.Range(0, module.kernel_size.Length).Reverse().SelectMany(i =>
        {
            if (module.padding_type == Padding.Valid) return [0, 0];
            if (module.padding_type != Padding.Same) return [module.padding![i], module.padding[i]]; // given where there is no type
            long total = module.dilation[i] * (module.kernel_size[i] - 1);
            return new[] { total / 2, total - (total / 2) };
        })];
        _channelsLast = _channels >= LeastChannelsLast;
        Arranged = _channelsLast ? sum => sum.view(-1, _kernel.Height, _kernel.Width, _channels).permute(0, 3, 1, 2).reshape(_weight) : null;
    }

    public static ConvolutionPatches Of(Convolution module) => new(module);

    /// <summary>d, of one patch in one group.</summary>
    public long Width => _channels * _kernel.Height * _kernel.Width;

    /// <summary>From patches' order to the weight's, where they differ.</summary>
    public Func<Tensor, Tensor>? Arranged { get; }

    /// <summary>[n·m, C, (H,) W] → [n·G, d, m·T]</summary>
    public Tensor Of(Tensor input, int units)
    {
        Tensor padded = _padding.All(width => width == 0) ? input : nn.functional.pad(input, _padding, _mode, 0);
        if (padded.dim() == 3) padded = padded.unsqueeze(2);
        (long records, long channels, long height, long width) = (padded.shape[0], padded.shape[1], padded.shape[2], padded.shape[3]);
        long tall = Places(height, _kernel.Height, _stride.Height, _dilation.Height), wide = Places(width, _kernel.Width, _stride.Width, _dilation.Width), each = records / units;
        if (_channelsLast)
        {
            Tensor last = padded.permute(0, 2, 3, 1).contiguous();
            long row = width * channels;
            Tensor view = last.as_strided(
                [units, each, _groups, tall, wide, _kernel.Height, _kernel.Width, _channels],
                [each * height * row, height * row, _channels, _stride.Height * row, _stride.Width * channels, _dilation.Height * row, _dilation.Width * channels, 1], last.storage_offset());
            return view.permute(0, 2, 1, 3, 4, 5, 6, 7).reshape(units * _groups, each * tall * wide, Width).transpose(1, 2);
        }

        Tensor first = padded.contiguous();
        long plane = height * width;
        return first.as_strided(
            [units, _groups, _channels, _kernel.Height, _kernel.Width, each, tall, wide],
            [each * channels * plane, _channels * plane, plane, _dilation.Height * width, _dilation.Width, channels * plane, _stride.Height * width, _stride.Width], first.storage_offset())
            .reshape(units * _groups, Width, each * tall * wide);
    }

    private static long Places(long size, long kernel, long stride, long dilation) => ((size - (dilation * (kernel - 1)) - 1) / stride) + 1;

    private static (long Height, long Width) Pair(long[] values) => values.Length == 1 ? (1, values[0]) : (values[0], values[1]);
}
