using Federation.Privacy.Accounting;

namespace Federation.Privacy.Ledger;

/// <summary>What one neighbouring data set adds, removes or replaces.</summary>
public enum PrivacyUnit
{
    /// <summary>One row.</summary>
    Record,

    /// <summary>Everything of one person, by a key column.</summary>
    Person,

    /// <summary>Everything of one site.</summary>
    Site,
}

/// <summary>What a ledger's figures are about; fixed when it is opened.</summary>
public sealed record LedgerTerms(PrivacyUnit Unit, NeighboringRelation Relation);

/// <summary>The (ε, δ) that all releases from one data set together may reach.</summary>
public sealed record PrivacyBudget
{
    /// <summary>δ at which ε is stated where nobody has said another.</summary>
    public const double UsualDelta = 1e-5;

    /// <exception cref="ArgumentOutOfRangeException">ε or δ is out of range or NaN.</exception>
    public PrivacyBudget(double epsilon, double delta)
    {
        if (epsilon is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(epsilon), epsilon, "A budget's ε must be in (0, ∞).");
        if (delta is not (> 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(delta), delta, "A budget's δ must be in (0, 1).");
        (Epsilon, Delta) = (epsilon, delta);
    }

    /// <summary>In (0, ∞).</summary>
    public double Epsilon { get; }

    /// <summary>In (0, 1).</summary>
    public double Delta { get; }
}

/// <summary>Something that is about to leave the site, and what it costs.</summary>
/// <param name="Run">The run it belongs to.</param>
/// <param name="Round">From 1; 0 outside rounds.</param>
/// <param name="Purpose">update, evaluation, statistics, …</param>
/// <param name="Recipient">Who gets it.</param>
/// <param name="Events">The mechanisms used, in order; at least one. What they cost is charged: against the strongest adversary that is guarded against.</param>
/// <param name="Outside">The same against those who know no part of a noise that several sites share; null: the same events. It is shown and never charged.</param>
public sealed record Release(string Run, long Round, string Purpose, string Recipient, IReadOnlyList<PrivacyEvent> Events, IReadOnlyList<PrivacyEvent>? Outside = null)
{
    /// <summary>Purpose of an update whose recipient sees it without noise, and is trusted to clip it and to add the noise of the events before anybody else sees what it makes of it: the cost holds against everybody but the recipient.</summary>
    public const string EntrustedUpdate = "update, its noise by the recipient";
}

/// <summary>The names that units and relations have in files.</summary>
public static class LedgerNames
{
    public static IReadOnlyDictionary<string, PrivacyUnit> Units { get; } = new Dictionary<string, PrivacyUnit> { ["record"] = PrivacyUnit.Record, ["person"] = PrivacyUnit.Person, ["site"] = PrivacyUnit.Site };

    public static IReadOnlyDictionary<string, NeighboringRelation> Relations { get; } =
        new Dictionary<string, NeighboringRelation> { ["add-or-remove-one"] = NeighboringRelation.AddOrRemoveOne, ["replace-one"] = NeighboringRelation.ReplaceOne };

    public static string Of(PrivacyUnit unit) => Units.Single(entry => entry.Value == unit).Key;

    public static string Of(NeighboringRelation relation) => Relations.Single(entry => entry.Value == relation).Key;
}
