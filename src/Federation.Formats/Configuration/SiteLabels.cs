using Federation.Formats.Yaml;

namespace Federation.Formats.Configuration;

/// <summary>What a site says of itself, such as <c>region: eu</c>; runs choose by it. Nobody checks it: a label is a site's own claim.</summary>
public static class SiteLabels
{
    public const int Most = 32, LongestValue = 63;

    public static readonly string Rule = $"at most {Most} labels, each a name ({Names.Rule}) with a text of 1 to {LongestValue} printable characters";

    public static readonly IReadOnlyDictionary<string, string> None = new Dictionary<string, string>();

    public static bool AreValid(IReadOnlyCollection<KeyValuePair<string, string>> labels) => labels.Count <= Most && labels.All(label => Names.IsSiteName(label.Key) && IsValue(label.Value));

    internal static IReadOnlyDictionary<string, string> Read(FieldReader fields, string name)
    {
        switch (fields.Value(name))
        {
            case null: return None;
            case YamlMap map:
                Dictionary<string, string> labels = [];
                foreach ((string label, YamlValue value) in map.Fields)
                {
                    if (Names.IsSiteName(label) && value is YamlScalar { IsNull: false } scalar && IsValue(scalar.Text)) labels[label] = scalar.Text;
                    else fields.Add(name, $"{label} is {FieldReader.Show(value)}; right are {Rule}.");
                }

                if (labels.Count > Most) fields.Add(name, $"{labels.Count} labels are too many; right are {Rule}.");
                return labels;
            default:
                fields.Add(name, "has no labels.", "Write them as { region: eu }.");
                return None;
        }
    }

    private static bool IsValue(string text) => text.Length is >= 1 and <= LongestValue && !text.Any(char.IsControl);
}
