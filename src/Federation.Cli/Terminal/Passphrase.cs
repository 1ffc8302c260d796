using System.CommandLine;
using System.Text;
using Federation.Cli.CommandLine;
using Federation.Formats;

namespace Federation.Cli.Terminal;

/// <summary>A passphrase: from a file, from <c>FED_PASSPHRASE</c>, or typed unseen; never from the command line, which others can read.</summary>
internal static class Passphrase
{
    public static Option<string?> File { get; } = new("--passphrase-file") { Description = "Holds the passphrase, in its first line. Default: FED_PASSPHRASE, else it is asked for.", HelpName = "file" };

    /// <param name="twice">Typed twice: nobody can open what a slip has sealed.</param>
    /// <exception cref="InvalidInputException">There is none.</exception>
    public static string Read(Invocation invocation, bool twice)
    {
        if (invocation.Get(File) is { } path) return TextFile.Read(path).Split('\n')[0].TrimEnd('\r') is { Length: > 0 } line ? line : throw new InvalidInputException(new Problem("The file's first line is empty.", path, Field: File.Name));
        if (Environment.GetEnvironmentVariable("FED_PASSPHRASE") is { Length: > 0 } variable) return variable;
        if (Console.IsInputRedirected) throw new InvalidInputException(new Problem("There is no passphrase.", Field: File.Name, Repair: "Name the file that holds it, or set FED_PASSPHRASE."));
        string typed = Ask("Passphrase of the CA's key: ");
        return !twice || Ask("Once more: ") == typed ? typed : throw new InvalidInputException(new Problem("The two passphrases differ."));
    }

    private static string Ask(string question)
    {
        Console.Error.Write(question);
        var typed = new StringBuilder();
        while (Console.ReadKey(intercept: true) is var key && key.Key != ConsoleKey.Enter)
        {
            if (key.Key == ConsoleKey.Backspace) typed.Length = Math.Max(0, typed.Length - 1);
            else if (!char.IsControl(key.KeyChar)) typed.Append(key.KeyChar);
        }

        Console.Error.WriteLine();
        return typed.ToString();
    }
}
