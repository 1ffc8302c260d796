namespace Federation.Samples;

/// <summary>What one sample is about, in its own words.</summary>
public sealed record SampleDescription
{
    /// <summary>Names its folder of results and its temporary folders.</summary>
    public required string Name { get; init; }

    public required IReadOnlyList<Site> Sites { get; init; }

    /// <summary>How many of what, for headings: four hospitals.</summary>
    public required string Parties { get; init; }

    /// <summary>What a site is: hospital, bank.</summary>
    public required Noun Site { get; init; }

    /// <summary>Whose record a row is: patient, customer.</summary>
    public required Noun Person { get; init; }

    public required string PageTitle { get; init; }

    /// <summary>Without the measure: Heart disease, four hospitals.</summary>
    public required string PlotTitle { get; init; }

    /// <summary>Where real records come from and which of them are held out, as HTML.</summary>
    public required string SourceHtml { get; init; }

    /// <summary>What the figures do not show, as HTML.</summary>
    public required string CaveatHtml { get; init; }

    /// <summary>One class is rare: what always naming the other one gives, and balanced accuracy, are shown beside accuracy.</summary>
    public bool IsUnbalanced { get; init; }
}

/// <param name="Name">As a site of the federation; a folder of its own.</param>
/// <param name="Title">What people call it.</param>
public sealed record Site(string Name, string Title);

public sealed record Noun(string One, string Many);
