using Federation.Samples.Figures;
using ScottPlot;

namespace Federation.Samples.Mnist.Figures;

/// <summary>Training loss by epoch, as PNG.</summary>
internal static class LossPlot
{
    /// <param name="folder">For the font, while it is drawn.</param>
    public static byte[] Png(IReadOnlyList<double> losses, bool isSynthetic, string folder)
    {
        using Plot plot = FontedPlot.Create(folder);
        var line = plot.Add.Scatter([.. losses.Select((_, i) => i + 1.0)], losses.ToArray(), Color.FromHex("#1f5fa8"));
        line.LineWidth = 2.5f;
        line.MarkerSize = 7;
        plot.Title(isSynthetic ? "SYNTHETIC digits: loss by epoch" : "MNIST, perceptron 784-256-128-10: loss by epoch", 16);
        plot.XLabel("epoch");
        plot.YLabel("mean training loss (cross entropy)");
        plot.Axes.SetLimits(0.5, losses.Count + 0.5, 0, losses.Max() * 1.1);
        return plot.GetImage(900, 500).GetImageBytes(ImageFormat.Png);
    }
}
