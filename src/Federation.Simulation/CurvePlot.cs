using ScottPlot;

namespace Federation.Simulation;

/// <summary>A curve as PNG.</summary>
internal static class CurvePlot
{
    /// <param name="points">In the order of x.</param>
    /// <param name="folder">For the font's file: a bare machine has none.</param>
    /// <param name="ticks">Names on the x axis in place of numbers, for points at 0, 1, …; null: numbers.</param>
    public static byte[] Png(string title, string x, string y, IReadOnlyList<(double X, double Y)> points, string folder, IReadOnlyList<string>? ticks = null)
    {
        using var plot = new Plot();
        PlotFont.Use(plot, folder);
        var line = plot.Add.Scatter(points.Select(point => point.X).ToArray(), points.Select(point => point.Y).ToArray(), Color.FromHex("#1f5fa8"));
        line.LineWidth = 2.5f;
        line.MarkerSize = ticks is null && points.Count > 30 ? 0 : 7;
        if (ticks is not null) plot.Axes.Bottom.SetTicks([.. points.Select(point => point.X)], [.. ticks]);
        plot.Title(title, 16);
        plot.XLabel(x);
        plot.YLabel(y);
        return plot.GetImage(900, 500).GetImageBytes(ImageFormat.Png);
    }
}
