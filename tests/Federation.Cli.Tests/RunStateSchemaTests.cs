using System.Collections.Immutable;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using Federation.Cli.CommandLine;
using Federation.Formats.Evaluation;
using Federation.Server.Runs;

namespace Federation.Cli.Tests;

/// <summary>The states that outputs can name are those of the coordinator's state machine.</summary>
public sealed class RunStateSchemaTests
{
    [Fact]
    public void Schemas_ThatNameARunsState_NameEachAndNoOther()
    {
        string[] states = [.. States().Distinct().Order(StringComparer.Ordinal)];
        string[] names = [.. OutputSchema.AllVerbs().Select(one => one.Verb.Schema).OfType<string>().Distinct()];
        Dictionary<string, string[]> found = [];
        foreach (string name in names)
        {
            foreach (string[] words in Enumerations(JsonDocument.Parse(Schemas.Read(name)).RootElement).Where(words => words.Contains("aggregating"))) found[name] = words;
        }

        Assert.Equal(["run-list", "run-show", "run-submit"], found.Keys.Order(StringComparer.Ordinal));
        Assert.All(found.Values, words => Assert.Equal(states, words.Order(StringComparer.Ordinal)));
    }

    /// <summary>Of a run in every phase, paused and not.</summary>
    private static IEnumerable<string> States()
    {
        ImmutableSortedSet<string> sites = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);
        var contributions = ImmutableSortedDictionary.Create<string, Contribution>(StringComparer.Ordinal);
        RunPhase[] phases =
        [
            new Preparing(default), new Waiting(""), new MakingKeys(1, 0, sites), new RoundOpen(default, default, sites, contributions, sites), new Aggregating(default, sites, contributions),
            new Evaluating(default, sites, ImmutableSortedDictionary.Create<string, EvaluationSums>(StringComparer.Ordinal)), .. Enum.GetValues<RunEnd>().Select(how => new Ended(how, "")),
        ];
        Assert.Equal(typeof(RunPhase).GetCustomAttributes<JsonDerivedTypeAttribute>().Select(one => one.DerivedType.Name).Order(StringComparer.Ordinal), phases.Select(phase => phase.GetType().Name).Distinct().Order(StringComparer.Ordinal));
        var plan = new RunPlan(1, 1, TimeSpan.FromMinutes(1), null, null);
        return from phase in phases from pause in new Pause?[] { null, Pause.ByName } select (RunState.Submitted(plan, "", default) with { Phase = phase, Paused = pause }).PhaseName;
    }

    private static IEnumerable<string[]> Enumerations(JsonElement schema) => schema.ValueKind switch
    {
        JsonValueKind.Object => schema.EnumerateObject().SelectMany(field => field is { Name: "enum", Value.ValueKind: JsonValueKind.Array } ? [[.. field.Value.EnumerateArray().Where(word => word.ValueKind == JsonValueKind.String).Select(word => word.GetString()!)]] : Enumerations(field.Value)),
        JsonValueKind.Array => schema.EnumerateArray().SelectMany(Enumerations),
        _ => [],
    };
}
