using System.Globalization;

namespace Federation.Cli.Terminal;

/// <summary>Values as people read them.</summary>
internal static class Text
{
    /// <summary>A content hash short enough for a table, long enough to be used again.</summary>
    public static string Short(string sha256) => sha256.Length > 12 ? sha256[..12] : sha256;

    public static string Metric(double? value) => value is { } number ? number.ToString("F4", CultureInfo.InvariantCulture) : "";

    /// <summary>A figure of privacy: ∞ where there is no bound.</summary>
    public static string Privacy(double value, string format = "G6") => double.IsPositiveInfinity(value) ? "∞" : value.ToString(format, CultureInfo.InvariantCulture);

    public static string Bytes(ulong bytes) => bytes switch
    {
        < 1000 => string.Create(CultureInfo.InvariantCulture, $"{bytes} B"),
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:F1} kB"),
        < 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:F1} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:F1} GB"),
    };

    /// <summary>Null where the wire says 0: never.</summary>
    public static DateTimeOffset? Time(long unixMilliseconds) => unixMilliseconds == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(unixMilliseconds);

    public static string Local(DateTimeOffset? time) => time is { } known ? known.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture) : "never";

    public static string Count(ulong number, string one, string? many = null) => string.Create(CultureInfo.InvariantCulture, $"{number} {(number == 1 ? one : many ?? one + "s")}");
}
