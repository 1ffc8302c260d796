using Federation.Samples.Data;
using ScottPlot;

namespace Federation.Samples.Figures;

/// <summary>An empty plot whose text is drawn in a font that the program brings: a bare machine has none.</summary>
public static class FontedPlot
{
    private const string Font = "Roboto";

    /// <param name="folder">Takes the font's file, which is read while the plot is drawn.</param>
    /// <returns>Owned by the caller.</returns>
    public static Plot Create(string folder)
    {
        string font = Path.Combine(folder, "Roboto-Regular.ttf");
        File.WriteAllBytes(font, EmbeddedFile.Bytes(typeof(FontedPlot).Assembly, "Roboto-Regular.ttf"));
        Fonts.AddFontFile(Font, font);
        var plot = new Plot();
        plot.Font.Set(Font);
        return plot;
    }
}
