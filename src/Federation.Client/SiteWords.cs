using Federation.Formats;
using Federation.Formats.Models;
using Federation.Privacy.Ledger;
using Federation.Privacy.SecureAggregation;

namespace Federation.Client;

/// <summary>What may be said outside of something that went wrong at this site. Its own log gets the whole text; a value of a table, or how many rows hold it, stays here.</summary>
internal static class SiteWords
{
    private const int Longest = 1000;

    /// <summary>One sentence each, without repetition.</summary>
    /// <param name="isPrivate">Of a differentially private run's training or evaluation: then only what the coordinator itself has sent, the ledger and the policy are spoken of. That it failed is said, and no more.</param>
    public static IReadOnlyList<string> Of(Exception error, bool isPrivate = false) => isPrivate && error is not (ProtocolException or BudgetExceededException or SafetensorsException)
        ? ["This site could not do it; its log says why."]
        : error is InvalidInputException { Problems: var problems } ? [.. problems.Select(Of).Distinct()] : [IsOurs(error) ? error.Message : $"This site could not do it ({error.GetType().Name}); its log says more."];

    /// <summary>As long as the coordinator takes it: at most 1,000 characters.</summary>
    public static string Bounded(string sentence) => sentence.Length <= Longest ? sentence : sentence[..Longest];

    // Of the platform's own exceptions only those of bytes that the coordinator sent are said: the learner's slips have become LearningExceptions.
    private static bool IsOurs(Exception error) => error is FormatException || error.GetType().Assembly.GetName().Name!.StartsWith("Federation", StringComparison.Ordinal);

    private static string Of(Problem problem)
    {
        if (problem.File is not { } path) return (problem.Line is null ? problem : Hidden(problem)).ToString();
        string name = Path.GetFileName(path);
        // Whatever has a line comes from what stands there. Without one, a repair may still name what stands in the file: a first row taken for a heading is a record.
        Problem shown = problem.Line is null ? problem with { Message = problem.Message.Replace(Path.GetFullPath(path), name, StringComparison.Ordinal).Replace(path, name, StringComparison.Ordinal), Repair = null } : Hidden(problem);
        return (shown with { File = name }).ToString();
    }

    private static Problem Hidden(Problem problem) => new(problem.Field is null ? "A row does not fit the schema." : "A value there does not fit the schema.", Field: problem.Field);
}
