namespace Federation.Formats.Configuration;

/// <summary>Which models of runs that are over stay: the first, the last, the best by each metric, and so many of the newest. Runs that go on keep all.</summary>
/// <param name="Models">At least 1.</param>
/// <param name="Days">After a run's end; so long every model of it stays, for sites and evaluators that come late.</param>
public sealed record RetentionRule(int Models, int Days = RetentionRule.DefaultDays)
{
    public const int DefaultDays = 7;
}
