using System.Globalization;
using System.Net;
using System.Text;
using static System.FormattableString;

namespace Federation.Privacy.Reporting;

/// <summary>ε over the releases as an SVG picture: a staircase, the budget as a line. Needs no font and no script.</summary>
internal static class EpsilonPicture
{
    private const double Width = 680, Height = 220, Left = 48, Right = 12, Top = 14, Bottom = 34;

    public static string Svg(IReadOnlyList<SpentPoint> points, double? budget)
    {
        SpentPoint[] finite = [.. points.Where(point => double.IsFinite(point.Epsilon))];
        double largest = Math.Max(finite.Select(point => point.Epsilon).DefaultIfEmpty(0).Max(), budget ?? 0);
        if (largest is not (> 1e-300 and < 1e300)) largest = 1;
        double step = NiceStep(largest / 4), top = Math.Ceiling(largest / step * 1.0001) * step;
        double from = points.Count > 0 ? points[0].Time.ToUnixTimeMilliseconds() : 0, to = points.Count > 0 ? points[^1].Time.ToUnixTimeMilliseconds() : 1;
        // All within a moment: spread by order instead.
        bool byOrder = to - from < 1000;
        double X(int index) => Left + ((Width - Left - Right) * (points.Count < 2 ? 0 : byOrder ? index / (points.Count - 1.0) : (points[index].Time.ToUnixTimeMilliseconds() - from) / (to - from)));
        // ∞ has the top of the picture for itself; what is finite stays below.
        bool endless = finite.Length < points.Count;
        double Y(double epsilon) => double.IsFinite(epsilon) ? Height - Bottom - ((Height - Top - Bottom) * (endless ? 0.8 : 1) * Math.Min(epsilon, top) / top) : Top;

        StringBuilder svg = new();
        svg.Append(Invariant($"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-labelledby=\"picture-title\"><title id=\"picture-title\">{WebUtility.HtmlEncode(Title(points, budget))}</title>"));
        for (int line = 0; line <= Math.Round(top / step); line++)
        {
            double value = line * step;
            svg.Append(Invariant($"<line class=\"grid\" x1=\"{Left}\" y1=\"{Y(value):F1}\" x2=\"{Width - Right}\" y2=\"{Y(value):F1}\"/><text x=\"{Left - 6}\" y=\"{Y(value) + 4:F1}\" text-anchor=\"end\">{value:G4}</text>"));
        }

        if (endless) svg.Append(Invariant($"<line class=\"grid\" x1=\"{Left}\" y1=\"{Top}\" x2=\"{Width - Right}\" y2=\"{Top}\"/><text x=\"{Left - 6}\" y=\"{Top + 4}\" text-anchor=\"end\">∞</text>"));
        if (points.Count > 0)
        {
            StringBuilder path = new(Invariant($"M{X(0):F1} {Y(0):F1}"));
            for (int i = 0; i < points.Count; i++) path.Append(Invariant($"H{X(i):F1}V{Y(points[i].Epsilon):F1}"));
            path.Append(Invariant($"H{Width - Right}"));
            svg.Append(Invariant($"<path class=\"spent\" d=\"{path}\"/>"));
            svg.Append(Invariant($"<text x=\"{Left}\" y=\"{Height - 12}\">{points[0].Time:yyyy-MM-dd HH:mm}</text><text x=\"{Width - Right}\" y=\"{Height - 12}\" text-anchor=\"end\">{points[^1].Time:yyyy-MM-dd HH:mm} UTC</text>"));
        }

        if (budget is { } limit && limit <= top) svg.Append(Invariant($"<line class=\"budget\" x1=\"{Left}\" y1=\"{Y(limit):F1}\" x2=\"{Width - Right}\" y2=\"{Y(limit):F1}\"/><text class=\"budget-label\" x=\"{Left + 6}\" y=\"{Y(limit) - 5:F1}\">budget {limit:G4}</text>"));
        return svg.Append("</svg>").ToString();
    }

    private static string Title(IReadOnlyList<SpentPoint> points, double? budget) => points.Count == 0
        ? "Nothing has been released."
        : Invariant($"Epsilon spent over time, ending at {(double.IsFinite(points[^1].Epsilon) ? points[^1].Epsilon.ToString("G4", CultureInfo.InvariantCulture) : "infinity")}{(budget is { } limit ? Invariant($" of a budget of {limit:G4}") : "")}.");

    /// <summary>1, 2 or 5 times a power of ten, at least as large.</summary>
    private static double NiceStep(double least)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(least)));
        return least <= power ? power : least <= 2 * power ? 2 * power : least <= 5 * power ? 5 * power : 10 * power;
    }
}
