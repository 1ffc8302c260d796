namespace Federation.Formats;

/// <summary>One thing that is wrong with what a user typed or wrote, and what would be right.</summary>
/// <param name="Message">One sentence that names the value and the limit it breaks.</param>
/// <param name="File">The file it stands in, as the user named it.</param>
/// <param name="Line">1-based.</param>
/// <param name="Field">The dotted path of the field: <c>local.optimizer.learningRate</c>.</param>
/// <param name="Repair">What to write instead.</param>
public sealed record Problem(string Message, string? File = null, int? Line = null, string? Field = null, string? Repair = null)
{
    /// <summary>One line: <c>file:line: field: message Repair</c>, without the parts that are absent.</summary>
    public override string ToString()
    {
        string place = File is null ? "" : Line is null ? $"{File}: " : $"{File}:{Line}: ";
        string field = Field is null ? "" : $"{Field}: ";
        string repair = Repair is null ? "" : $" {Repair}";
        return place + field + Message + repair;
    }
}

/// <summary>What the user typed or wrote is wrong: flags, spec, schema, policy, configuration, data. Carries every problem, not the first.</summary>
public sealed class InvalidInputException : Exception
{
    public InvalidInputException(IReadOnlyList<Problem> problems)
        : base(string.Join(Environment.NewLine, problems)) => Problems = problems;

    public InvalidInputException(Problem problem)
        : this([problem])
    {
    }

    public InvalidInputException(string message)
        : this(new Problem(message))
    {
    }

    public IReadOnlyList<Problem> Problems { get; }
}
