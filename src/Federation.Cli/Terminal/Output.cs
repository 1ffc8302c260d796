using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Federation.Cli.CommandLine;
using Federation.Formats;

namespace Federation.Cli.Terminal;

/// <summary>Where a verb's result goes (stdout) and where everything else goes (stderr).</summary>
internal sealed class Output(bool json, TextWriter result, TextWriter error, bool terminal)
{
    private static readonly JsonSerializerOptions JsonOptions = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, // "Infinity"
    };

    /// <summary>Whether the result is JSON.</summary>
    public bool Json => json;

    /// <summary>Whether stderr is a terminal that can draw a bar.</summary>
    public bool Terminal => terminal;

    private bool Colour { get; } = terminal && Environment.GetEnvironmentVariable("NO_COLOR") is null or "";

    public static Output OfProcess(bool json) => new(json, Console.Out, Console.Error, !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "dumb"));

    /// <summary>The verb's result: one line of JSON, or the text.</summary>
    public void Result<T>(T document, params IEnumerable<string> text)
    {
        if (json) result.WriteLine(JsonSerializer.Serialize(document, JsonOptions));
        else foreach (string line in text) result.WriteLine(OneLine(line));
        result.Flush();
    }

    /// <summary>A text as it is.</summary>
    /// <returns>Exit code 0.</returns>
    public int Print(string text)
    {
        result.WriteLine(text.TrimEnd());
        return ExitCode.Done;
    }

    /// <summary>Said beside the result: on stderr.</summary>
    public void Note(string line) => error.WriteLine(OneLine(line));

    /// <summary>What will go wrong later: on stderr, and as JSON where the errors are.</summary>
    public void Warn(Problem problem)
    {
        if (json) error.WriteLine(JsonSerializer.Serialize(new { warning = problem }, JsonOptions));
        else error.WriteLine("warning: " + OneLine(problem.ToString()));
    }

    /// <returns>The exit code.</returns>
    public int Fail(Exception exception)
    {
        (int code, IReadOnlyList<Problem> problems) = Failure.Of(exception);
        if (Environment.GetEnvironmentVariable("FED_DEBUG") == "1") error.WriteLine(exception);
        return Fail(problems, code);
    }

    /// <summary>One line a problem.</summary>
    /// <returns>The exit code given.</returns>
    public int Fail(IEnumerable<Problem> problems, int code)
    {
        foreach (Problem problem in problems)
        {
            if (json) error.WriteLine(JsonSerializer.Serialize(new { error = problem }, JsonOptions));
            else error.WriteLine((Colour ? "\e[31merror:\e[0m " : "error: ") + OneLine(problem.ToString()));
        }

        return code;
    }

    /// <summary>Control characters become blanks: a message from elsewhere stays one line and cannot steer the terminal.</summary>
    public static string OneLine(string text) =>
        text.Any(char.IsControl) ? string.Concat(text.ReplaceLineEndings(" ").Select(c => char.IsControl(c) ? ' ' : c)).TrimEnd() : text;
}
