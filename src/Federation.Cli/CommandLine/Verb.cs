using System.CommandLine;
using Federation.Cli.Terminal;

namespace Federation.Cli.CommandLine;

/// <summary>A verb of <c>fed</c>: what it does, an example, and the schema of its <c>--json</c> output.</summary>
internal sealed class Verb : Command
{
    /// <param name="schema">Name of the embedded schema without its extension; null for a group that only holds verbs.</param>
    public Verb(string name, string description, string example, string? schema = null)
        : base(name, description) => (Example, Schema) = (example, schema);

    /// <summary>One or more lines that work as they stand.</summary>
    public string Example { get; }

    public string? Schema { get; }

    /// <summary>What happens; null for a group that only holds verbs.</summary>
    public Func<Invocation, Task<int>>? Work { get; private set; }

    /// <summary>The verb's exit code is the work's result; failures are exceptions.</summary>
    public Verb Does(Func<Invocation, Task<int>> work)
    {
        Work = work;
        // Never called: FedCommand runs Work itself. It tells the parser that the verb stands on its own.
        SetAction(_ => ExitCode.Done);
        return this;
    }

    public Verb With(params IEnumerable<Symbol> symbols)
    {
        foreach (Symbol symbol in symbols)
        {
            switch (symbol)
            {
                case Argument argument: Add(argument); break;
                case Option option: Add(option); break;
                case Command command: Add(command); break;
                default: throw new ArgumentException($"{symbol.Name} is neither argument, option nor verb.", nameof(symbols));
            }
        }

        return this;
    }
}

/// <summary>One call of a verb.</summary>
internal sealed record Invocation(ParseResult Arguments, Output Output, CancellationToken Cancellation)
{
    public T? Get<T>(Option<T> option) => Arguments.GetValue(option);

    public T Get<T>(Argument<T> argument) => Arguments.GetRequiredValue(argument);
}

/// <summary>What the process says to its caller.</summary>
internal static class ExitCode
{
    public const int Done = 0;

    /// <summary>Everything that has no code of its own.</summary>
    public const int Failed = 1;

    /// <summary>What the user typed or wrote is wrong.</summary>
    public const int WrongInput = 2;

    /// <summary>By Ctrl-C or SIGTERM.</summary>
    public const int Interrupted = 130;
}
