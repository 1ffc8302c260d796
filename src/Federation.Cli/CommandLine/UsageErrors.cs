using System.CommandLine;
using System.CommandLine.Parsing;
using Federation.Formats;

namespace Federation.Cli.CommandLine;

/// <summary>What is wrong with a command line, and the nearest verb or flag.</summary>
internal static class UsageErrors
{
    /// <returns>At least one problem.</returns>
    public static IReadOnlyList<Problem> Describe(ParseResult parsed)
    {
        CommandResult at = parsed.CommandResult;
        string path = PathOf(at);
        // After the first word that is not understood the parser misreads the rest; only that word is worth a line.
        if (MisreadFlag(parsed) is { } flag) return [Unknown(flag, at, path)];
        if (parsed.UnmatchedTokens.Count > 0) return [Unknown(parsed.UnmatchedTokens[0], at, path)];
        if (at.Command is Verb { Work: null } or RootCommand) return [new Problem($"'{path}' needs a verb.", Repair: $"One of {string.Join(", ", at.Command.Subcommands.Select(verb => verb.Name))}; `{path} --help` explains them.")];
        return [.. parsed.Errors.Select(error => Describe(error, path))];
    }

    /// <summary>A flag that the verb does not have, which the parser took for an argument or for the value of the option before it; null: none. A file whose name begins with a dash stands behind <c>--</c>.</summary>
    public static string? MisreadFlag(ParseResult parsed)
    {
        string[] words = [.. parsed.Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash).Where(token => token.Type == TokenType.Argument).Select(token => token.Value)];
        string[] arguments = [.. parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(result => result.Tokens).Select(token => token.Value)];
        // A value may be a negative number.
        return words.FirstOrDefault(word => word.Length > 1 && (arguments.Contains(word) ? word[0] == '-' : word.Length > 2 && word.StartsWith("--", StringComparison.Ordinal) && !parsed.UnmatchedTokens.Contains(word)));
    }

    /// <summary>The words that lead to a verb: <c>fed run submit</c>.</summary>
    public static string PathOf(CommandResult command)
    {
        List<string> words = [];
        for (SymbolResult? result = command; result is CommandResult verb; result = verb.Parent) words.Insert(0, verb.Command is RootCommand ? "fed" : verb.Command.Name);
        return string.Join(' ', words);
    }

    private static Problem Unknown(string token, CommandResult at, string path)
    {
        if (token.StartsWith('-') && token.Length > 1)
        {
            string flag = token.Split('=', 2)[0];
            string[] flags = [.. FlagsOf(at).Order(StringComparer.Ordinal)];
            return new Problem($"'{path}' has no option '{flag}'.", Field: flag, Repair: Nearest.Match(flag, flags) is { } near ? $"Did you mean '{near}'?" : $"See `{path} --help`.");
        }

        string[] verbs = [.. at.Command.Subcommands.Select(verb => verb.Name)];
        if (verbs.Length == 0) return new Problem($"'{path}' takes no argument '{token}'.", Repair: $"See `{path} --help`.");
        return new Problem($"'{path}' has no verb '{token}'.", Repair: Nearest.Repair(token, verbs));
    }

    private static IEnumerable<string> FlagsOf(CommandResult at)
    {
        foreach (Option option in at.Command.Options) yield return option.Name;
        for (SymbolResult? result = at.Parent; result is CommandResult parent; result = parent.Parent)
        {
            foreach (Option option in parent.Command.Options.Where(option => option.Recursive)) yield return option.Name;
        }
    }

    private static Problem Describe(ParseError error, string path)
    {
        string repair = $"See `{path} --help`.";
        return error.SymbolResult switch
        {
            ArgumentResult { Parent: CommandResult, Tokens.Count: 0 } missing => new Problem($"'{path}' needs {missing.Argument.Name}. {missing.Argument.Description}", Repair: repair),
            OptionResult { Tokens.Count: 0, Implicit: false } bare => new Problem($"'{bare.Option.Name}' needs a value.", Field: bare.Option.Name, Repair: repair),
            OptionResult option => new Problem(error.Message, Field: option.Option.Name, Repair: repair),
            ArgumentResult { Parent: OptionResult option } => new Problem(error.Message, Field: option.Option.Name, Repair: repair),
            _ => new Problem(error.Message, Repair: repair),
        };
    }
}
