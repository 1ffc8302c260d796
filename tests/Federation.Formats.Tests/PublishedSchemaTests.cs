using CsCheck;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Formats.Yaml;
using Newtonsoft.Json.Linq;
using NJsonSchema;

namespace Federation.Formats.Tests;

/// <summary>The published JSON schemas and the readers say the same.</summary>
public sealed class PublishedSchemaTests
{
    private const string CustomModel = "name: own\nmodel: { kind: custom }\nrounds: 1\nseed: 0\ncohort: { minContributors: 1, deadline: 5s }\nlocal: { optimizer: { kind: sgd, learningRate: 1, momentum: 0.5 }, batchSize: 1, proximal: 0.25 }\nsecureAggregation: none\nprivacy: none\npersonal: { tensors: [\"head.*\", b], fineTuneEpochs: 2 }";
    private const string NodeYaml = "coordinator: https://host\nstate: s\nrole: trainer\ndevice: cpu\nthreads: 1\nlabels: { region: eu, gpu: \"yes\" }\npolicy: { minContributors: 4, maxColluding: 2, maxOpenings: 50, roster: \"sha256:0000000000000000000000000000000000000000000000000000000000000000\", secureAggregation: required, statistics: allowed, contributorSets: apart, runs: heart, models: mlp, columns: [a], privacy: { unit: person, minNoiseMultiplier: 1, maxEpsilon: 2, maxDelta: 1e-6, noise: own }, budget: { epsilon: 3, delta: 1e-5 }, submitters: [ { name: a, key: \"sha256:0000000000000000000000000000000000000000000000000000000000000000\" } ], cosigners: { required: 1, keys: [ { name: b, key: \"sha256:0000000000000000000000000000000000000000000000000000000000000000\" } ] }, approved: { specs: [ \"sha256:0000000000000000000000000000000000000000000000000000000000000000\" ], models: \"sha256:0000000000000000000000000000000000000000000000000000000000000000\" } }\ndata: [ { id: a, path: x, schema: y, split: z, person: p, ledger: l.db, budget: { epsilon: 3, delta: 1e-5 } } ]";
    private const string ServerYaml = "state: s\nnodes: 1.2.3.4:1\noperators: 1.2.3.4:2\nsiteCertificates: 12h";

    public static TheoryData<string, string> Good => new()
    {
        { "run-spec", RunSpecTests.Good },
        { "run-spec", CustomModel },
        { "run-spec", ScheduleSpecTests.Good },
        { "run-spec", SimulationSpecTests.Good },
        { "run-spec", LearningRateSpecTests.Cosine },
        { "run-spec", LearningRateSpecTests.Step },
        { "run-spec", StatisticsSpecTests.Good },
        { "run-spec", PrivacySpecTests.Good },
        { "run-spec", PrivacySpecTests.Site },
        { "run-spec", PrivacySpecTests.Central },
        { "data-schema", DataSchemaTests.Good },
        { "node", NodeYaml },
        { "node", NodeYaml[..NodeYaml.IndexOf("policy", StringComparison.Ordinal)] },
        { "policy", PolicyTests.Good },
        { "server", ServerYaml },
    };

    [Theory]
    [MemberData(nameof(Good))]
    public async Task Schema_AndReader_AcceptTheSame(string schema, string yaml)
    {
        Read(schema, yaml);
        Assert.Empty((await SchemaAsync(schema)).Validate(ToJson(YamlReader.Read(yaml, "x"))));
    }

    [Theory] // Each field misspelt, each value replaced by one of another type: both refuse, or both accept
    [MemberData(nameof(Good))]
    public async Task Schema_AndReader_RefuseTheSame(string name, string yaml)
    {
        JsonSchema schema = await SchemaAsync(name);
        int refused = 0;
        foreach ((string place, JObject changed) in Mutations((JObject)ToJson(YamlReader.Read(yaml, "x"))))
        {
            bool bySchema = schema.Validate(changed).Count > 0, byReader = IsRefused(name, changed.ToString());
            // Rules between fields are the reader's alone: a schema that refuses must be right, a reader may know more.
            Assert.True(!bySchema || byReader, $"{place}: the schema refuses and the reader accepts {changed}");
            if (bySchema) refused++;
        }

        Assert.True(refused > 3, $"only {refused} mutations were refused by the schema");
    }

    [Theory]
    [MemberData(nameof(Good))]
    public async Task Schema_AndReader_KnowTheSameFields(string name, string yaml)
    {
        Dictionary<string, HashSet<string>> known = [];
        FieldReader.Observer = (path, names) => known[System.Text.RegularExpressions.Regex.Replace(path, @"\[\d+\]", "[]")] = [.. names];
        try
        {
            Read(name, yaml);
        }
        finally
        {
            FieldReader.Observer = null;
        }

        JObject schema = JObject.Parse(await File.ReadAllTextAsync(PathOf(name)));
        foreach ((string path, HashSet<string> names) in known)
        {
            JToken? node = schema;
            foreach (string step in path.Split('.', StringSplitOptions.RemoveEmptyEntries))
            {
                node = node?["properties"]?[step.Replace("[]", "", StringComparison.Ordinal)];
                node = node?["oneOf"]?.FirstOrDefault(option => option["properties"] is not null) ?? node; // a word or a map
                if (step.EndsWith("[]", StringComparison.Ordinal)) node = node?["items"];
            }

            string[] published = [.. ((JObject?)node?["properties"])?.Properties().Select(property => property.Name) ?? []];
            Assert.Equal(published.Order(), names.Order());
        }
    }

    [Fact] // one is a copy of the other, because editors follow no references between files
    public async Task NodeSchema_HoldsThePolicySchema()
    {
        JObject node = JObject.Parse(await File.ReadAllTextAsync(PathOf("node"))), policy = JObject.Parse(await File.ReadAllTextAsync(PathOf("policy")));
        foreach (string name in new[] { "$schema", "$id", "title" }) policy.Remove(name);
        Assert.True(JToken.DeepEquals(policy, node.SelectToken("properties.policy.oneOf[1]")));
    }

    [Fact] // Any text, and any good document with a piece changed
    public void Readers_AnyText_GiveAValueOrInvalidInput() =>
        Gen.Select(Gen.String, Gen.Int[0, Good.Count - 1], Gen.Int[0, 600], Gen.String[0, 6]).Sample((text, which, at, piece) =>
        {
            (string name, string yaml) = Good.Select(row => row.Data).ElementAt(which);
            at %= yaml.Length;
            foreach (string candidate in new[] { text, yaml[..at] + piece + yaml[at..], yaml[..at] })
            {
                IsRefused(name, candidate);
            }
        });

    private static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "schemas", $"{name}.schema.json");

    private static async Task<JsonSchema> SchemaAsync(string name) => await JsonSchema.FromJsonAsync(await File.ReadAllTextAsync(PathOf(name)));

    private static bool IsRefused(string name, string yaml)
    {
        try
        {
            Read(name, yaml);
            return false;
        }
        catch (InvalidInputException)
        {
            return true;
        }
    }

    private static void Read(string name, string yaml)
    {
        using var folder = new TemporaryFolder();
        switch (name)
        {
            case "run-spec": RunSpec.Parse(yaml, "x"); break;
            case "data-schema": DataSchema.Parse(yaml, "x"); break;
            case "policy": NodePolicy.Load(folder.Write("policy.yaml", yaml)); break;
            case "node": NodeConfiguration.Load(folder.Write("node.yaml", yaml)); break;
            default: ServerConfiguration.Load(folder.Write("server.yaml", yaml)); break;
        }
    }

    private static JToken ToJson(YamlValue value) => value switch
    {
        YamlMap map => new JObject(map.Fields.Select(field => new JProperty(field.Key, ToJson(field.Value)))),
        YamlList list => new JArray(list.Items.Select(ToJson)),
        YamlScalar { Quoted: true } scalar => scalar.Text,
        YamlScalar { Text: "true" or "false" } scalar => scalar.Text == "true",
        YamlScalar scalar when YamlText.TryInteger(scalar.Text, out long integer) => integer,
        YamlScalar scalar when YamlText.TryNumber(scalar.Text, out double number) => number,
        YamlScalar scalar => scalar.Text,
        _ => throw new InvalidOperationException(),
    };

    private static IEnumerable<(string Place, JObject Changed)> Mutations(JObject document)
    {
        foreach (string path in document.DescendantsAndSelf().OfType<JProperty>().Select(property => property.Path).ToArray())
        {
            var misspelt = (JObject)document.DeepClone();
            var property = (JProperty)misspelt.SelectToken(path)!.Parent!;
            property.Replace(new JProperty(property.Name + "x", property.Value));
            yield return ($"{path} misspelt", misspelt);
            // A plain -1 is a text to YAML where a text belongs, so texts are replaced by another text.
            JToken wrong = document.SelectToken(path)!.Type == JTokenType.String ? "¤" : -1;
            foreach (JToken other in new[] { new JObject(new JProperty("unexpected", 1)), new JArray(), wrong })
            {
                var changed = (JObject)document.DeepClone();
                ((JProperty)changed.SelectToken(path)!.Parent!).Value = other;
                yield return ($"{path} = {other}", changed);
            }
        }
    }
}
