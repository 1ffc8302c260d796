using ScottPlot;

namespace Federation.Samples.Figures;

/// <summary>Accuracy over all test rows by round, as PNG.</summary>
internal static class AccuracyPlot
{
    public static byte[] Png(SampleDescription sample, Comparison figures, bool isSynthetic, string folder)
    {
        using Plot plot = FontedPlot.Create(folder);
        double[] rounds = [.. figures.Accuracy.Select(point => (double)point.Round)], accuracy = [.. figures.Accuracy.Select(point => point.Accuracy)];
        var line = plot.Add.Scatter(rounds, accuracy, Color.FromHex("#1f5fa8"));
        line.LineWidth = 2.5f;
        line.MarkerSize = 0;
        line.LegendText = "federated";
        Level(plot, figures.PooledAll.Accuracy, "#2a8a57", "pooled: all records in one place");
        Level(plot, figures.LocalAll.Accuracy, "#b5651d", $"local: each {sample.Site.One} alone");
        if (sample.IsUnbalanced) Level(plot, figures.Majority, "#777777", "always the commoner class");
        plot.Title(isSynthetic ? $"SYNTHETIC {sample.Person.Many}: accuracy on held-out rows" : $"{sample.PlotTitle}: accuracy on held-out {sample.Person.Many}", 16);
        plot.XLabel("round");
        plot.YLabel($"accuracy over {figures.TestRows.Sum()} test rows");
        plot.ShowLegend(Alignment.LowerRight);
        double lowest = Math.Min(accuracy.Min(), figures.LocalAll.Accuracy);
        plot.Axes.SetLimits(0, rounds[^1], Math.Max(0, lowest - 0.05), Math.Min(1, Math.Max(accuracy.Max(), figures.PooledAll.Accuracy) + 0.05));
        return plot.GetImage(900, 500).GetImageBytes(ImageFormat.Png);
    }

    private static void Level(Plot plot, double value, string colour, string text)
    {
        var level = plot.Add.HorizontalLine(value, 1.5f, Color.FromHex(colour), LinePattern.Dashed);
        level.LegendText = text;
    }
}
