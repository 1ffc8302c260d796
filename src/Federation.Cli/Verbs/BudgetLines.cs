using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using static System.FormattableString;

namespace Federation.Cli.Verbs;

/// <summary>What <c>fed node check</c> says of a data set's privacy: its budget, what is spent of it, and whether its ledger is whole and as new as what the coordinator has seen. Writes nothing.</summary>
internal static class BudgetLines
{
    /// <param name="seen">By the coordinator; null: it could not be asked.</param>
    public static CheckLine Of(NodeConfiguration configuration, DataSource source, IReadOnlyList<LedgerHead>? seen)
    {
        PrivacyBudget? budget = NodeLedgers.BudgetOf(configuration, source);
        string path = NodeLedgers.PathOf(configuration, source);
        LedgerHead? known = seen?.FirstOrDefault(head => head.DataSet == source.Id);
        try
        {
            if (!NodeLedgers.Exists(path, source.Id))
            {
                return known is null
                    ? Line(budget, $"'{source.Id}': nothing was released yet")
                    : new CheckLine("budget", false, $"'{source.Id}': there is no ledger in {path}, and the coordinator has seen {Text.Count((ulong)known.Count, "record")} of it.", NodeLedgers.RepairOfLoss);
            }

            var ledger = LedgerVerification.Of(path, source.Id);
            if (!ledger.Valid) return new CheckLine("budget", false, $"'{source.Id}': the ledger {path} is broken: {ledger.Problems[0]}", "Put the newest copy back; `fed privacy verify` tells everything that is wrong.");
            if (known is not null && ledger.DifferenceFrom(known.Count, known.Hash) is { } difference) return new CheckLine("budget", false, $"'{source.Id}': {difference}", NodeLedgers.RepairOfLoss);
            LedgerTerms terms = NodeLedgers.TermsOf(source);
            if (ledger.Terms is { } kept && kept != terms) return new CheckLine("budget", false, $"'{source.Id}': the ledger {path} is about one {LedgerNames.Of(kept.Unit)}, node.yaml about one {LedgerNames.Of(terms.Unit)}.", "A ledger is about one unit for good: give the data set a new id or ledger, or put person: back as it was.");
            double delta = budget?.Delta ?? PrivacyBudget.UsualDelta;
            double spent = LedgerFigures.Spent(ledger.Records, delta, terms.Relation).Loss.Epsilon;
            string said = $"'{source.Id}': ε = {Text.Privacy(spent, "G4")} of {Text.Count((ulong)ledger.Records.Count(record => record is ReservedRecord), "release")} is spent";
            return budget is not null && spent >= budget.Epsilon
                ? new CheckLine("budget", false, Invariant($"{said}; the budget is ε = {budget.Epsilon} at δ = {budget.Delta}: this site can take part in no further run on it."), "That is for good, unless whoever answers for the records allows more in the data set's budget.")
                : Line(budget, said);
        }
        catch (LedgerException error)
        {
            return new CheckLine("budget", false, $"'{source.Id}': {error.Message}", "Put the newest copy of the ledger and its key back.");
        }
    }

    private static CheckLine Line(PrivacyBudget? budget, string said) => budget is null
        ? new CheckLine("budget", true, $"{said}; no budget is set.", "With budget: { epsilon: 8, delta: 1e-5 } in the data set's entry, all runs together can reveal no more than that.")
        : new CheckLine("budget", true, Invariant($"{said}; the budget is ε = {budget.Epsilon} at δ = {budget.Delta}."));
}
