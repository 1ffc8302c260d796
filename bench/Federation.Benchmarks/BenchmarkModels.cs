using Federation.Learning.DifferentialPrivacy;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Benchmarks;

/// <summary>The models that DP-SGD is measured on.</summary>
internal static class BenchmarkModels
{
    public static nn.Module<Tensor, Tensor> Mlp() => nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10));

    /// <summary>The network of Papernot, Thakurta, Song, Chien, Erlingsson 2021 for 28×28 images: 26,010 parameters.</summary>
    public static nn.Module<Tensor, Tensor> Cnn() => nn.Sequential(
        nn.Conv2d(1, 16, 8, stride: 2, padding: 3), nn.ReLU(), nn.MaxPool2d(2, 1),
        nn.Conv2d(16, 32, 4, stride: 2), nn.ReLU(), nn.MaxPool2d(2, 1),
        nn.Flatten(), nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10));

    /// <summary>ResNet-18 (He, Zhang, Ren, Sun 2016) as for 32×32 images, with GroupNorm.</summary>
    public static nn.Module<Tensor, Tensor> ResNet18()
    {
        List<nn.Module<Tensor, Tensor>> layers = [nn.Conv2d(3, 64, 3, padding: 1, bias: false), Normalization.Group(16, 64), nn.ReLU()];
        long channels = 64;
        foreach (long width in (long[])[64, 128, 256, 512])
        {
            layers.Add(new Block(channels, width, channels == width ? 1 : 2));
            layers.Add(new Block(width, width, 1));
            channels = width;
        }

        return nn.Sequential([.. layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]);
    }

    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d _first, _second;
        private readonly GroupNorm _firstNorm, _secondNorm;
        private readonly Sequential? _shortcut;

        public Block(long channels, long width, long stride)
            : base(nameof(Block))
        {
            (_first, _firstNorm) = (nn.Conv2d(channels, width, 3, stride: stride, padding: 1, bias: false), Normalization.Group(16, width));
            (_second, _secondNorm) = (nn.Conv2d(width, width, 3, padding: 1, bias: false), Normalization.Group(16, width));
            if (stride != 1) _shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride: stride, bias: false), Normalization.Group(16, width));
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            Tensor inside = _secondNorm.call(_second.call(_firstNorm.call(_first.call(input)).relu()));
            return (inside + (_shortcut is null ? input : _shortcut.call(input))).relu();
        }
    }
}
