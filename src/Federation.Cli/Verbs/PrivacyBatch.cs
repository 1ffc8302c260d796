using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;

namespace Federation.Cli.Verbs;

/// <summary><c>fed privacy epsilon --batch</c>: a case a line, an answer a line, in the same order; a bad case answers with its error and harms no other.</summary>
internal static class PrivacyBatch
{
    private const int LongestLine = 16 << 20;

    public static Task<int> RunAsync(Invocation invocation, string file, double? delta, string accountant, string relation)
    {
        // A wrong default would be every line's error.
        PrivacyCase.AccountantOf(accountant, "--accountant");
        PrivacyCase.RelationOf(relation, "--relation");
        bool failed = false;
        ParallelQuery<BatchResult> results = Lines(file).AsParallel().AsOrdered().WithMergeOptions(ParallelMergeOptions.NotBuffered).WithCancellation(invocation.Cancellation).Select(line => Answer(line, delta, accountant, relation));
        foreach (BatchResult result in results)
        {
            failed |= result.Error is not null;
            string id = result.Id?.ToString() ?? "?";
            invocation.Output.Result(result, result.Error is { } error ? $"{id}: {error}" : $"{id}: ε = {Text.Privacy(result.Epsilon!.Value)}");
        }

        return Task.FromResult(failed ? ExitCode.Failed : ExitCode.Done);
    }

    private static BatchResult Answer(string line, double? delta, string accountant, string relation)
    {
        if (line.Length > LongestLine) return new(null, null, $"The line has {line.Length} characters; {LongestLine} is the most.");
        var (id, question, error) = PrivacyCase.ReadLine(line, delta, accountant, relation);
        if (question is null) return new(id, null, error);
        try
        {
            return new(id, question.Epsilon(), null);
        }
        catch (InvalidInputException refused)
        {
            return new(id, null, PrivacyCase.Sentence(refused));
        }
    }

    private static IEnumerable<string> Lines(string file)
    {
        using TextReader reader = file == "-" ? Console.In : new StringReader(TextFile.Read(file));
        while (reader.ReadLine() is { } line)
        {
            if (!string.IsNullOrWhiteSpace(line)) yield return line;
        }
    }
}
