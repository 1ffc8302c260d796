using Federation.Formats.Configuration;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using Federation.Privacy.SecureAggregation;
using static System.FormattableString;

namespace Federation.Client;

/// <summary>What a run will cost a data set's records, and whether this site takes part: known before the first round, from the spec, the model's size, the policy and the ledger.</summary>
/// <param name="Delta">At which all ε are: the run's; without differential privacy the budget's, else 1e-5.</param>
/// <param name="Epsilon">Of all rounds, against <see cref="PrivacySpec.MaxColluding"/> contributors who pool what they know; ∞ without differential privacy.</param>
/// <param name="EpsilonCharged">What the ledger would be charged, which is about records or persons: more, where the run's unit is a site.</param>
/// <param name="EpsilonOutside">The same as <paramref name="Epsilon"/> against those who contribute nothing. Where the coordinator adds the noise, no ε is against the coordinator.</param>
/// <param name="Budget">Of the data set; null: none.</param>
/// <param name="Spent">ε of everything reserved so far, at the budget's δ, else at <paramref name="Delta"/>.</param>
/// <param name="After">The same after as many rounds as are allowed.</param>
/// <param name="AllowedRounds">Of the run's that fit the budget.</param>
/// <param name="Limit">The most that the ledger may be charged for the run, whatever rounds are asked for; null: no ε bounds it.</param>
/// <param name="Refusals">Why this site takes no part, one sentence each; empty: it does, if only for <paramref name="AllowedRounds"/>.</param>
public sealed record RunForecast(LearningTask Task, string DataSet, double Delta, double Epsilon, double EpsilonCharged, double EpsilonOutside, PrivacyBudget? Budget, double Spent, double After, int AllowedRounds, PrivacyLoss? Limit, IReadOnlyList<string> Refusals)
{
    /// <param name="values">Of the model.</param>
    /// <param name="budget">Null: none is set.</param>
    /// <param name="person">The column that says whose a record is, by this site; null: none.</param>
    /// <exception cref="LedgerException">The ledger cannot be read.</exception>
    public static RunForecast Of(LearningTask task, int values, string dataSet, NodePolicy policy, PrivacyLedger ledger, PrivacyBudget? budget, string? person)
    {
        PrivacySpec? privacy = task.Spec.Privacy;
        double delta = privacy?.Delta ?? budget?.Delta ?? PrivacyBudget.UsualDelta, spentAt = budget?.Delta ?? delta;
        double spent = ledger.Spent(spentAt).Epsilon;
        RunForecast none = new(task, dataSet, delta, double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity, budget, spent, spent, 0, null, []);
        try
        {
            List<string> refusals = [.. policy.Refusals(task.Spec, task.Schema)];
            if (privacy is null or { InsecureSeededNoise: true })
            {
                if (!ledger.Fits([new NonPrivateEvent()], budget)) refusals.Add(Invariant($"The privacy budget of '{dataSet}' (ε = {budget!.Epsilon}) allows no release without noise."));
                return refusals.Count > 0 ? none with { Refusals = refusals } : none with { After = double.PositiveInfinity, AllowedRounds = task.Spec.Rounds };
            }

            if (WrongUnit(privacy, dataSet, person, isTable: task.Schema is not null) is { } wrong) return none with { Refusals = [.. refusals, wrong] };
            int rounds = task.Spec.Rounds, cohort = Math.Max(task.Spec.Cohort.MinContributors, task.Spec.Cohort.Sites?.Count ?? 0);
            IReadOnlyList<PrivacyEvent> Events(int count) => PrivacyCost.OfRun(task.Spec, task.Schema, values, cohort, count, outside: false);
            double charged = PrivacyCost.Epsilon(Events(rounds), delta), epsilon = charged;
            if (privacy.Unit == DpUnit.Site) epsilon = PrivacyCost.Epsilon(PrivacyCost.OfUnit(task.Spec, task.Schema, values, cohort, rounds, outside: false), delta);
            double outside = privacy.Noise != NoiseSource.Shared ? epsilon : PrivacyCost.Epsilon(PrivacyCost.OfUnit(task.Spec, task.Schema, values, cohort, rounds, outside: true), delta);
            if (epsilon > privacy.MaxEpsilon) refusals.Add(Invariant($"The run costs each {privacy.UnitName} ε = {epsilon:g4} at δ = {delta} over {none.Rounds}; its own spec allows {privacy.MaxEpsilon}."));
            if (AboveThePolicy(policy.Privacy, privacy, dataSet, epsilon, charged, delta) is { } above) refusals.Add(above);
            if (policy.Privacy is { } asked && double.IsPositiveInfinity(asked.Unit == DpUnit.Site ? epsilon : charged)) refusals.Add("The run's noise is so little that no ε can be shown; this site's policy asks for differential privacy.");
            int allowed = Allowed(ledger, budget, count => Events(count), rounds);
            if (allowed == 0) refusals.Add(Invariant($"What is left of the privacy budget of '{dataSet}' (ε = {budget!.Epsilon} at δ = {budget.Delta}, spent {spent:g4}) is too small for one round."));
            double after = allowed == 0 ? spent : ledger.Spent(spentAt, Events(allowed)).Epsilon;
            return none with { Epsilon = epsilon, EpsilonCharged = charged, EpsilonOutside = outside, After = after, AllowedRounds = allowed, Limit = LimitOf(privacy, delta, charged, epsilon, PrivacyCost.Epsilon(Repeated(task.Spec, Events), delta)), Refusals = refusals };
        }
        catch (UnreachableTargetException error)
        {
            return none with { Refusals = [$"The run's noise cannot be found: {error.Message}"] };
        }
        catch (UpdateLayoutException error)
        {
            return none with { Refusals = [$"The run's updates cannot be encoded: {error.Message}"] };
        }
    }

    /// <summary>What the run costs, in a sentence.</summary>
    public string Cost
    {
        get
        {
            if (Task.Spec is { Statistics: not null, Privacy: null }) return "One sum of this site's table with other sites' is opened, without noise: the ledger records it as of unlimited ε.";
            if (Task.Spec.Privacy is { InsecureSeededNoise: true }) return "The run's noise follows from its seed, and whoever knows that can take it off: the ledger records each release as of unlimited ε.";
            if (Task.Spec.Privacy is not { } privacy) return "The run adds no noise: the ledger records each release as of unlimited ε.";
            string against = privacy.Noise switch
            {
                NoiseSource.Shared => Invariant($" against a coalition of up to {privacy.MaxColluding} of the contributors; ε = {Shown(EpsilonOutside)} against everybody else"),
                NoiseSource.Central => " against everybody who sees the models alone",
                _ => " against everybody else, together",
            };
            string entrusted = privacy.IsCentral ? " The coordinator sees this site's updates without noise, and is trusted to clip them and to add it: against the coordinator there is no differential privacy." : "";
            if (privacy.Unit == DpUnit.Site) return Invariant($"The run costs this site as a whole at most ε = {Shown(Epsilon)} at δ = {Delta} over {Rounds}{against}, and each record of '{DataSet}', which may change all of the site's update, ε = {Shown(EpsilonCharged)}: that is what the ledger is charged.{entrusted}");
            return Invariant($"The run costs each {privacy.UnitName} of '{DataSet}' at most ε = {Shown(Epsilon)} at δ = {Delta} {(Task.Spec.Statistics is null ? Invariant($"over {Rounds}") : "in one opening")}{against}.");
        }
    }

    private string Rounds => Task.Spec.Rounds == 1 ? "1 round" : Invariant($"{Task.Spec.Rounds} rounds");

    private static string Shown(double epsilon) => double.IsPositiveInfinity(epsilon) ? "∞" : Invariant($"{epsilon:g4}");

    /// <summary>A ledger is about one unit for good, and no other's releases can be added to it.</summary>
    private static string? WrongUnit(PrivacySpec privacy, string dataSet, string? person, bool isTable) => (privacy.Unit, person) switch
    {
        (DpUnit.Site, _) => null, // charged as what it costs a record or person
        (DpUnit.Record, not null) => $"The run protects single records; the ledger of '{dataSet}' is about persons (by '{person}').",
        (DpUnit.Person, null) => $"The run protects persons (by '{privacy.Key}'); the ledger of '{dataSet}' is about records. 'person: {privacy.Key}' in the data set's entry of node.yaml, with a new id or ledger, does it.",
        (DpUnit.Person, _) when isTable && person != privacy.Key => $"The run tells persons apart by '{privacy.Key}'; this site does by '{person}'.",
        _ => null,
    };

    /// <summary>A policy's ε is about what it says is protected at least. Where that is no site, it is what the ledger is charged, which no maxEpsilon of a spec about sites bounds; <see cref="PolicyCheck"/> holds that one itself against it.</summary>
    private static string? AboveThePolicy(PrivacyPolicy? asked, PrivacySpec privacy, string dataSet, double epsilon, double charged, double delta) =>
        asked is { MaxEpsilon: { } most } && asked.Unit != DpUnit.Site && privacy.Unit == DpUnit.Site && charged > most && epsilon <= most
            ? Invariant($"The run protects a site, at ε = {epsilon:g4}; at δ = {delta} the ledger of '{dataSet}' is charged ε = {charged:g4} for each record; this site's policy allows {most}. A smaller maxEpsilon in the spec is right, or 'maxEpsilon: {Math.Ceiling(charged)}' in the policy's privacy; with 'unit: site' there it is about the site.")
            : null;

    /// <summary>The run's rounds, and those that may have to be repeated.</summary>
    private static IReadOnlyList<PrivacyEvent> Repeated(RunSpec spec, Func<int, IReadOnlyList<PrivacyEvent>> events) =>
        spec.Statistics is null ? events(RunSpec.WithRepeats(spec.Rounds)) : [.. events(1).Select(one => new RepeatedEvent(one, RunSpec.WithRepeats(1)))];

    /// <summary>What the rounds and those repeated cost (with a thousandth for grids, which depend on the cohort), or what the spec's maxEpsilon leaves room for where that is more.</summary>
    /// <remarks>With a site as the unit the ledger is charged more than the spec speaks of. What it is charged grows with the rounds at least as fast as the site's own ε, so that in proportion it is bounded on the safe side.</remarks>
    private static PrivacyLoss? LimitOf(PrivacySpec privacy, double delta, double charged, double epsilon, double repeated)
    {
        double room = privacy.MaxEpsilon is not { } most ? 0 : privacy.Unit == DpUnit.Site ? charged * most / epsilon : most;
        double limit = Math.Max(repeated * 1.001, room);
        return double.IsFinite(limit) ? new PrivacyLoss(limit, delta, NeighboringRelation.AddOrRemoveOne) : null;
    }

    /// <summary>How many of the rounds still fit.</summary>
    private static int Allowed(PrivacyLedger ledger, PrivacyBudget? budget, Func<int, IReadOnlyList<PrivacyEvent>> events, int rounds)
    {
        if (budget is null || Fits(rounds)) return rounds;
        int low = 0, high = rounds;
        while (high - low > 1)
        {
            int middle = low + ((high - low) / 2);
            if (Fits(middle)) low = middle;
            else high = middle;
        }

        return low;

        bool Fits(int count) => ledger.Fits(events(count), budget);
    }
}
