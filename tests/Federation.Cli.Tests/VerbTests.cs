using System.CommandLine;
using System.Text.Json;
using Federation.Cli.CommandLine;

namespace Federation.Cli.Tests;

public sealed class VerbTests
{
    public static TheoryData<string> Verbs => [.. OutputSchema.AllVerbs().Select(entry => string.Join(' ', entry.Words))];

    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task Help_AnyVerb_ShowsAnExampleThatTheParserAccepts(string words)
    {
        using var workspace = new Workspace();

        FedResult result = await Fed.RunAsync(workspace.Folder, [.. words.Split(' '), "--help"]);

        Assert.Equal(0, result.ExitCode);
        string[] example = [.. result.OutputLines.Select(line => line.Trim()).SkipWhile(line => line is not ("Example:" or "Examples:")).Skip(1).TakeWhile(line => line.StartsWith("fed ", StringComparison.Ordinal))];
        Assert.NotEmpty(example);
        Assert.Contains(example, line => line.StartsWith("fed " + words, StringComparison.Ordinal));
        Assert.All(example, line => Assert.Empty(FedCommand.Create().Parse(line.Split('>')[0]["fed ".Length..]).Errors));
    }

    [Theory]
    [MemberData(nameof(Verbs))]
    public void Schema_AnyVerb_DescribesEveryFieldOfAnObject(string words)
    {
        Verb verb = OutputSchema.AllVerbs().Single(entry => string.Join(' ', entry.Words) == words).Verb;

        JsonElement schema = JsonDocument.Parse(Schemas.Read(Assert.IsType<string>(verb.Schema))).RootElement;

        Assert.Equal("object", schema.GetProperty("type").GetString());
        Assert.False(schema.GetProperty("additionalProperties").GetBoolean());
    }

    [Theory]
    [InlineData("run", "submit", "--schema")]
    [InlineData("data", "check", "--schema")]
    public async Task Schema_Asked_PrintsItWithoutTheVerbsArguments(params string[] args)
    {
        using var workspace = new Workspace();

        FedResult result = await Fed.RunAsync(workspace.Folder, args);

        Assert.Equal(0, result.ExitCode);
        Assert.Equal($"fed {args[0]} {args[1]} --json", string.Join(' ', result.Json.GetProperty("title").GetString()!.Split([' ', ':'], StringSplitOptions.RemoveEmptyEntries).Take(4)));
    }
}
