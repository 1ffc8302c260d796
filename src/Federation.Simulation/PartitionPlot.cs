using Federation.Learning.DataSets;
using ScottPlot;

namespace Federation.Simulation;

/// <summary>Who holds how many examples of which label, as PNG.</summary>
internal static class PartitionPlot
{
    /// <param name="folder">For the font's file.</param>
    public static byte[] Png(PartitionTable table, string title, string folder)
    {
        double[,] cells = new double[table.Counts.Count, table.Counts[0].Count];
        for (int client = 0; client < cells.GetLength(0); client++)
        {
            for (int label = 0; label < cells.GetLength(1); label++) cells[client, label] = table.Counts[client][label];
        }

        using var plot = new Plot();
        PlotFont.Use(plot, folder);
        var map = plot.Add.Heatmap(cells);
        map.FlipVertically = true; // client 0 at the bottom, as the axis counts
        map.Colormap = new ScottPlot.Colormaps.Viridis();
        var bar = plot.Add.ColorBar(map);
        bar.Label = "examples";
        plot.Title(title, 16);
        plot.XLabel("label");
        plot.YLabel("client");
        plot.Axes.Bottom.TickGenerator = Whole();
        plot.Axes.Left.TickGenerator = Whole();
        plot.Axes.Margins(0, 0);
        return plot.GetImage(900, 600).GetImageBytes(ImageFormat.Png);
    }

    private static ScottPlot.TickGenerators.NumericAutomatic Whole() => new() { IntegerTicksOnly = true };
}
