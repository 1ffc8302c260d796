using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Federation.Cli.CommandLine;

/// <summary>Options that take numbers, written as in JSON: the parser's own would read 1,5 as 15.</summary>
internal static class Numbers
{
    public static Option<double?> Real(string name, string description, string helpName) => new(name)
    {
        Description = description,
        HelpName = helpName,
        CustomParser = result => double.TryParse(result.Tokens[0].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : Wrong<double>(result, "a number such as 1.5 or 1e-5"),
    };

    public static Option<long?> Whole(string name, string description, string helpName) => new(name)
    {
        Description = description,
        HelpName = helpName,
        CustomParser = result => long.TryParse(result.Tokens[0].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) ? value : Wrong<long>(result, "a whole number such as 1000"),
    };

    private static T? Wrong<T>(ArgumentResult result, string right)
        where T : struct
    {
        result.AddError($"'{result.Tokens[0].Value}' is not possible; {right} is right.");
        return null;
    }
}
