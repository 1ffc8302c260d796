using System.CommandLine;
using System.CommandLine.Parsing;
using System.Reflection;
using Federation.Formats;

namespace Federation.Cli.CommandLine;

/// <summary>Options that several verbs share.</summary>
internal static class CommonOptions
{
    public static Option<bool> Json { get; } = new("--json") { Description = "Print one JSON document (JSON lines for watch) on stdout, errors as JSON on stderr.", Recursive = true };

    public static Option<bool> Schema { get; } = new("--schema") { Description = "Print the JSON schema of the verb's --json output.", Recursive = true };

    public static Option<string?> State { get; } = new("--state") { Description = "State folder. Default: FED_STATE, else the configuration's, else ./fed-state.", HelpName = "folder" };

    /// <summary>Whether <c>--schema</c> stands there without a value: <c>fed data check --schema FILE</c> names a data schema instead.</summary>
    public static bool AsksForSchema(ParseResult parsed) => parsed.GetResult(Schema.Name) is OptionResult { Implicit: false, Tokens.Count: 0 };

    public static Option<string> Coordinator { get; } = new("--coordinator")
    {
        Description = "The coordinator's operator address.",
        HelpName = "url",
        DefaultValueFactory = _ => "https://127.0.0.1:8444",
    };

    public static Option<string?> Credential { get; } = new("--credential") { Description = "The operator's credential: a certificate with its key, or a token. Default: ca/admin.pem in the state folder.", HelpName = "file" };

    public static Option<bool> Force { get; } = new("--force") { Description = "Overwrite an existing file." };

    public static Option<string> Spec { get; } = new("--spec") { Description = "The run spec; names the schema and the model.", HelpName = "run.yaml", Required = true };

    /// <exception cref="InvalidInputException">Not https, or no address at all.</exception>
    public static Uri ParseAddress(string text, string option, int port) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? address) && address.Scheme == Uri.UriSchemeHttps
            ? address
            : throw new InvalidInputException(new Problem($"'{text}' is no address of a coordinator.", Field: option, Repair: $"https://host:{port} is right."));
}

/// <summary>The JSON schemas of the verbs' outputs, embedded in the executable.</summary>
internal static class Schemas
{
    public static string Read(string name)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name + ".schema.json") ?? throw new InvalidOperationException($"The schema '{name}' is not embedded.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
