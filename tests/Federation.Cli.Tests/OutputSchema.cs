using System.CommandLine;
using System.Text.Json;
using Federation.Cli.CommandLine;
using NJsonSchema;

namespace Federation.Cli.Tests;

/// <summary>Checks real outputs against the schemas that <c>--schema</c> prints.</summary>
internal static class OutputSchema
{
    public static async Task AssertValidAsync(string name, string json)
    {
        JsonSchema schema = await JsonSchema.FromJsonAsync(Schemas.Read(name));
        var errors = schema.Validate(json);
        Assert.True(errors.Count == 0, $"{name}: {string.Join("; ", errors)} in {json}");
    }

    public static Task AssertValidAsync(string name, JsonElement json) => AssertValidAsync(name, json.GetRawText());

    /// <summary>Every verb that does something, with the words that lead to it.</summary>
    public static IEnumerable<(string[] Words, Verb Verb)> AllVerbs() => Below(FedCommand.Create(), []);

    private static IEnumerable<(string[] Words, Verb Verb)> Below(Command command, string[] words)
    {
        foreach (Verb verb in command.Subcommands.Cast<Verb>())
        {
            string[] path = [.. words, verb.Name];
            if (verb.Work is not null) yield return (path, verb);
            foreach (var below in Below(verb, path)) yield return below;
        }
    }
}
