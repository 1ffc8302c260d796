using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Federation.Cli.CommandLine;

/// <summary>The parser's own help, then the verb's example and the exit codes.</summary>
internal sealed class HelpWithExample(HelpAction inner) : SynchronousCommandLineAction
{
    private const string RootExample = """
        fed server init && fed server             # coordinator: makes its CA, then runs
        fed site invite cleveland > token         # a single-use token for one site
        fed node enroll --coordinator https://127.0.0.1:8443 --token-file token
        fed node --config node.yaml               # the site's node: trains on its own data
        fed run submit run.yaml --watch
        """;

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        int code = inner.Invoke(parseResult);
        TextWriter output = parseResult.InvocationConfiguration.Output;
        Command command = parseResult.CommandResult.Command;
        output.WriteLine(command is RootCommand or { Subcommands.Count: > 1 } ? "Examples:" : "Example:");
        foreach (string line in (command is Verb verb ? verb.Example : RootExample).Split('\n')) output.WriteLine("  " + line.TrimEnd('\r'));
        output.WriteLine();
        output.WriteLine("Exit codes: 0 done, 2 what was typed or written is wrong, 130 interrupted, 1 anything else.");
        return code;
    }
}
