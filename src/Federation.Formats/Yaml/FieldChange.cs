namespace Federation.Formats.Yaml;

/// <summary>A document with another value for one field.</summary>
internal static class FieldChange
{
    /// <param name="field">Dotted path; the maps on the way must be there.</param>
    /// <param name="value">A scalar. <c>none</c> stands for the whole section: <c>privacy.maxEpsilon=none</c> is <c>privacy: none</c>.</param>
    /// <exception cref="InvalidInputException">There is no such section.</exception>
    public static YamlMap In(YamlMap map, string field, string value)
    {
        string[] path = field.Split('.');
        if (value == "none" && path.Length > 1) path = path[..^1];
        return In(map, path, field, value);
    }

    private static YamlMap In(YamlMap map, string[] path, string field, string value)
    {
        YamlValue? before = map.Fields.FirstOrDefault(entry => entry.Key == path[0]).Value;
        YamlValue after = path.Length == 1
            ? new YamlScalar(value, Quoted: false, before?.Line ?? map.Line)
            : In(before as YamlMap ?? throw Missing(map, path[0], field), path[1..], field, value);
        return map with { Fields = before is null ? [.. map.Fields, new(path[0], after)] : [.. map.Fields.Select(entry => entry.Key == path[0] ? new(path[0], after) : entry)] };
    }

    private static InvalidInputException Missing(YamlMap map, string name, string field) => new(new Problem($"The spec has no section '{name}' to change.", Field: field, Repair: Nearest.Repair(name, [.. map.Fields.Where(entry => entry.Value is YamlMap).Select(entry => entry.Key)])));
}
