namespace Federation.Formats;

/// <summary>Names of sites, runs and data sets.</summary>
public static class Names
{
    public const string Rule = "lower-case letters, digits and hyphens, at most 63, beginning and ending with a letter or digit";

    public static bool IsSiteName(string text) =>
        text.Length is > 0 and <= 63 && text[0] != '-' && text[^1] != '-' && text.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-');
}
