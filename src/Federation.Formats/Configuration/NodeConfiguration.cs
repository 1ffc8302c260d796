using Federation.Privacy.Ledger;

namespace Federation.Formats.Configuration;

/// <summary><c>node.yaml</c>: where a site's node dials, where it keeps its state, what data it holds.</summary>
public sealed partial record NodeConfiguration
{
    /// <summary>The coordinator's node listener, <c>https://host:8443</c>.</summary>
    public required Uri Coordinator { get; init; }

    /// <summary>State folder; <c>FED_STATE</c> or <c>./fed-state</c> where the file names none. Absolute after reading.</summary>
    public required string State { get; init; }

    public NodeRole Role { get; init; } = NodeRole.Trainer;

    /// <summary><c>cpu</c>, <c>cuda</c> or <c>cuda:0</c>.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Threads for training; at least 1.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>What this site says of itself; runs may choose sites by it.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = SiteLabels.None;

    public required IReadOnlyList<DataSource> Data { get; init; }

    /// <summary>What this site asks of runs.</summary>
    public NodePolicy Policy { get; init; } = new();

    /// <summary>Where the policy stands in a file of its own; null: in <c>node.yaml</c>, or nowhere.</summary>
    public string? PolicyFile { get; init; }
}

public enum NodeRole
{
    /// <summary>Trains on its records and contributes updates.</summary>
    Trainer,

    /// <summary>Evaluates every global model on a public test set; contributes nothing.</summary>
    Evaluator,
}

/// <param name="Id">The data set's id, equal to a schema's name; a ledger belongs to it.</param>
/// <param name="Path">The CSV file, absolute after reading.</param>
/// <param name="Schema">The site's own description of its file, compared with a run's; null: none.</param>
/// <param name="Ledger">The SQLite file of its privacy ledger, absolute after reading; null: <c>ledger.db</c> in the state folder.</param>
/// <param name="Budget">What all releases from it together may reach, by its own entry or else the policy; null: none is refused.</param>
/// <param name="Person">The column that says whose a record is: its ledger is about persons, and it takes part in runs that protect persons by this column. Null: its ledger is about records.</param>
/// <param name="Split">CSV <c>line,set</c>: 1-based lines of the file, set train, test or unused; lines not named are training rows. Null: by the schema's fraction.</param>
public sealed record DataSource(string Id, string Path, string? Schema = null, string? Split = null, string? Ledger = null, PrivacyBudget? Budget = null, string? Person = null);
