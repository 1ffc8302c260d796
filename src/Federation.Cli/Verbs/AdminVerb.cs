using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Server.Identity;

namespace Federation.Cli.Verbs;

/// <summary><c>fed server admin</c>: the way back when no admin's credential is left.</summary>
internal static class AdminVerb
{
    private static readonly Option<string> Name = new("--name") { Description = $"The admin's name: {Names.Rule}.", HelpName = "name", DefaultValueFactory = _ => OperatorAccess.FirstAdmin };

    private static readonly Option<string?> OutputPath = new("--output", "-o") { Description = "The file for the credential, readable by you alone. Default: ca/admin.pem in the state folder.", HelpName = "file" };

    public static Verb Create() => new Verb("admin", "Make another admin's credential, on the coordinator's machine while the coordinator is stopped: for when the last one is lost or has ended.", "fed server admin --state ./coordinator --name admin2 -o admin2.pem", "server-admin")
        .With(Name, OutputPath, CommonOptions.State, ServerVerbs.Config, ServerVerbs.Store)
        .Does(IssueAsync);

    private static Task<int> IssueAsync(Invocation invocation)
    {
        ServerConfiguration configuration = ServerVerbs.Configuration(invocation);
        string name = invocation.Get(Name)!;
        if (!Names.IsSiteName(name)) throw new InvalidInputException(new Problem($"'{name}' is no name of an operator.", Field: Name.Name, Repair: $"Right are {Names.Rule}."));
        string path = invocation.Get(OutputPath) ?? new CoordinatorFolder(configuration.State).Admin;
        DateTimeOffset ends = LocalAdmin.Issue(configuration, name, path, TimeProvider.System);
        invocation.Output.Result(new IssuedOperator(name, "admin", "certificate", path, null, ends), $"{path} is the credential of '{name}' (admin), valid until {Text.Local(ends)}.", $"Next: fed server --state {configuration.State}");
        return Task.FromResult(ExitCode.Done);
    }
}
