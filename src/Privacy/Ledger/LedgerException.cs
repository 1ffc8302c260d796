using Federation.Privacy.Accounting;

namespace Federation.Privacy.Ledger;

/// <summary>Why a ledger cannot be used.</summary>
public enum LedgerFault
{
    /// <summary>The file cannot be read or written as a ledger at all.</summary>
    Unusable,

    /// <summary>Records were edited, deleted, re-ordered or cut off.</summary>
    Broken,

    /// <summary>Another process holds it.</summary>
    Locked,

    /// <summary>There is no room for another record.</summary>
    DiskFull,

    /// <summary>The signing key is missing, unreadable or another ledger's.</summary>
    Key,

    /// <summary>It is behind what somebody outside has seen of it.</summary>
    RolledBack,

    /// <summary>It is about another unit or neighbouring relation.</summary>
    Terms,
}

/// <summary>A ledger that cannot be used; nothing was recorded, so nothing may be released.</summary>
public sealed class LedgerException(LedgerFault fault, string message, Exception? inner = null) : Exception(message, inner)
{
    public LedgerFault Fault { get; } = fault;

    /// <summary>1-based line of an imported file, where one is wrong.</summary>
    public int? Line { get; init; }
}

/// <summary>A release would exceed the budget, or what its run may cost; nothing was recorded, nothing may be released.</summary>
public sealed class BudgetExceededException(string what, PrivacyBudget budget, PrivacyLoss before, PrivacyLoss after)
    : Exception(FormattableString.Invariant(
        $"{what} is ε = {budget.Epsilon:G6} at δ = {budget.Delta:G6}; {before.Epsilon:G6} of it is spent, and this release would bring it to {Text(after.Epsilon)}."))
{
    public PrivacyBudget Budget { get; } = budget;

    /// <summary>Spent without this release.</summary>
    public PrivacyLoss Before { get; } = before;

    /// <summary>Spent with it.</summary>
    public PrivacyLoss After { get; } = after;

    private static string Text(double epsilon) => double.IsPositiveInfinity(epsilon) ? "∞" : FormattableString.Invariant($"{epsilon:G6}");
}

/// <summary>A release is of more rounds of its run than may be asked for; nothing was recorded, nothing may be released.</summary>
public sealed class RoundsExceededException(string message) : Exception(message);
