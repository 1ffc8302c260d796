using ScottPlot;

namespace Federation.Simulation;

/// <summary>The font of all pictures: a bare machine has none.</summary>
internal static class PlotFont
{
    private const string Name = "Roboto", File = "Roboto-Regular.ttf";

    /// <param name="folder">For the font's file.</param>
    public static void Use(Plot plot, string folder)
    {
        string path = Path.Combine(folder, File);
        using (Stream source = typeof(PlotFont).Assembly.GetManifestResourceStream(File) ?? throw new InvalidOperationException("The font is not embedded."))
        using (FileStream file = System.IO.File.Create(path)) source.CopyTo(file);
        Fonts.AddFontFile(Name, path);
        plot.Font.Set(Name);
    }
}
