using System.Globalization;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>What a run will cost a data set's records, said before it begins.</summary>
internal static class BudgetForecast
{
    /// <param name="values">Of the model.</param>
    /// <returns>Why this site takes no part; empty: it does, if only for as many rounds as its budget allows.</returns>
    public static List<string> Check(LearningTask task, int values, string dataSet, PrivacyLedger ledger, ILogger logger)
    {
        if (task.Spec.Privacy is not { } privacy || task.Spec.Statistics is not null)
        {
            if (!ledger.Fits([new NonPrivateEvent()])) return [Text($"The privacy budget of '{dataSet}' (ε = {ledger.Budget!.Epsilon}) allows no release without noise.")];
            logger.LogWarning("Run {Run} adds no noise: the ledger of {DataSet} records its releases as of unlimited ε", task.RunId, dataSet);
            return [];
        }

        int rounds = task.Spec.Rounds, cohort = Math.Max(task.Spec.Cohort.MinContributors, task.Spec.Cohort.Sites?.Count ?? 0);
        PrivacyEvent round = PrivacyCost.OfRound(task.Spec, values, cohort);
        double epsilon = PrivacyCost.Epsilon(round, rounds, privacy.Delta);
        if (epsilon > privacy.MaxEpsilon) return [Text($"The run costs each {Unit(privacy)} ε = {epsilon:g4} at δ = {privacy.Delta} over {rounds} rounds; its own spec allows {privacy.MaxEpsilon}.")];
        int allowed = Allowed(ledger, round, rounds);
        if (allowed == 0) return [Text($"What is left of the privacy budget of '{dataSet}' (ε = {ledger.Budget!.Epsilon} at δ = {ledger.Budget.Delta}, spent {ledger.Spent(ledger.Budget.Delta).Epsilon:g4}) is too small for one round.")];
        string against = privacy.Noise == NoiseSource.Shared ? Text($" against {privacy.MaxColluding} contributors who pool what they know; ε = {PrivacyCost.Epsilon(PrivacyCost.OfRoundOutside(task.Spec, values, cohort), rounds, privacy.Delta):g4} against everybody else") : "";
        logger.LogInformation("{Message}", Text($"Run {task.RunId} costs each {Unit(privacy)} of {dataSet} at most ε = {epsilon:g4} at δ = {privacy.Delta} over {rounds} rounds{against}"));
        if (allowed < rounds) logger.LogWarning("The privacy budget of {DataSet} allows {Allowed} of the run's {Rounds} rounds; this site takes no part in the rest", dataSet, allowed, rounds);
        return [];
    }

    /// <summary>How many of the rounds still fit.</summary>
    private static int Allowed(PrivacyLedger ledger, PrivacyEvent round, int rounds)
    {
        if (ledger.Budget is null || Fits(rounds)) return rounds;
        int low = 0, high = rounds;
        while (high - low > 1)
        {
            int middle = low + ((high - low) / 2);
            if (Fits(middle)) low = middle;
            else high = middle;
        }

        return low;

        bool Fits(int count) => ledger.Fits([new RepeatedEvent(round, count)]);
    }

    private static string Unit(PrivacySpec privacy) => privacy.Unit == DpUnit.Person ? "person" : "record";

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
