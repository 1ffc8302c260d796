using System.CommandLine;
using System.CommandLine.Help;
using Federation.Cli.Terminal;
using Federation.Cli.Verbs;

namespace Federation.Cli.CommandLine;

/// <summary>The whole command line: parses, runs one verb, maps what went wrong to lines on stderr and an exit code.</summary>
internal static class FedCommand
{
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        RootCommand root = Create();
        // No response files: '@name' is a value like any other.
        ParseResult parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        bool json = args.Contains(CommonOptions.Json.Name);
        var output = Output.OfProcess(json);
        using var interruption = new Interruption();
        try
        {
            if (IsHelpOrVersion(parsed)) return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false }, interruption.Token);
            if (CommonOptions.AsksForSchema(parsed) && parsed.CommandResult.Command is Verb { Schema: { } schema }) return output.Print(Schemas.Read(schema));
            if (parsed.Errors.Count > 0 || UsageErrors.MisreadFlag(parsed) is not null) return output.Fail(UsageErrors.Describe(parsed), ExitCode.WrongInput);
            var verb = (Verb)parsed.CommandResult.Command;
            return await verb.Work!(new Invocation(parsed, output, interruption.Token));
        }
        catch (OperationCanceledException) when (interruption.Happened)
        {
            return ExitCode.Interrupted;
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            if (interruption.Happened && Failure.IsCancellation(error)) return ExitCode.Interrupted;
            return output.Fail(error);
        }
    }

    private static bool IsHelpOrVersion(ParseResult parsed) => parsed.RootCommandResult.Command.Options.Any(option => option.Action is not null && option.Action == parsed.Action);

    /// <summary>All verbs; the help and schema options hold on each.</summary>
    public static RootCommand Create()
    {
        var root = new RootCommand("Federated learning: a coordinator runs the rounds, each site's node trains on its own records.");
        root.Add(ServerVerbs.Create());
        root.Add(NodeVerbs.Create());
        root.Add(SiteVerbs.Create());
        root.Add(OperatorVerbs.Create());
        root.Add(RosterVerbs.Create());
        root.Add(RunVerbs.Create());
        root.Add(SimulateVerb.Create());
        root.Add(ModelVerbs.Create());
        root.Add(DataVerbs.Create());
        root.Add(PrivacyVerbs.Create());
        root.Add(AuditVerbs.Create());
        root.Add(CommonOptions.Json);
        root.Add(CommonOptions.Schema);
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExample((HelpAction)help.Action!);
        return root;
    }
}
