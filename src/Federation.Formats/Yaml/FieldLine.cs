namespace Federation.Formats.Yaml;

/// <summary>Where a field stands in a YAML text, for problems that are found after reading.</summary>
public static class FieldLine
{
    /// <param name="field">Dotted path: <c>task.label</c>.</param>
    /// <returns>1-based line of the field, or of the nearest map above it that is there.</returns>
    /// <exception cref="InvalidInputException">The text is no YAML.</exception>
    public static int Of(string yaml, string file, string field)
    {
        YamlValue value = YamlReader.Read(yaml, file);
        int line = value.Line;
        foreach (string name in field.Split('.'))
        {
            if (value is not YamlMap map || map.Fields.FirstOrDefault(entry => entry.Key == name) is not { Value: { } next }) break;
            (value, line) = (next, next.Line);
        }

        return line;
    }
}
