using Federation.Formats;
using Federation.Formats.Yaml;

namespace Federation.Cli.Verbs;

/// <summary>Problems of a run spec that show only beside its schema or its model: they get the spec's file and line.</summary>
internal static class SpecProblems
{
    private static readonly string[] Sections = ["task.", "data.", "model.", "privacy.", "secureAggregation.", "personal.", "strategy.", "simulation.", "cohort."];

    /// <exception cref="InvalidInputException">As the work throws it; problems of spec fields without a file name the spec.</exception>
    public static T Place<T>(string specPath, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (InvalidInputException error) when (error.Problems.Any(IsOfSpec))
        {
            string yaml = TextFile.Read(specPath);
            throw new InvalidInputException([.. error.Problems.Select(problem => IsOfSpec(problem) ? problem with { File = specPath, Line = FieldLine.Of(yaml, specPath, problem.Field!) } : problem)]);
        }
    }

    private static bool IsOfSpec(Problem problem) => problem.File is null && problem.Field is { } field && Sections.Any(section => field.StartsWith(section, StringComparison.Ordinal));
}
