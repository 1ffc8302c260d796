using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using static System.FormattableString;

namespace Federation.Privacy.Reporting;

/// <summary>What a privacy officer wants to know about one data set.</summary>
/// <param name="EpsilonOutside">Against those who know no part of a noise that several sites share; <paramref name="Epsilon"/> is against the coalition that the runs name.</param>
/// <param name="Remaining">ε left of the budget; null without one.</param>
/// <param name="Unconfirmed">Reservations whose release was never confirmed; they count.</param>
/// <param name="Losses">How often records were lost and their cost charged.</param>
public sealed record PrivacyReport(
    string DataSet, string Ledger, string? KeySha256, long Records, bool Valid, IReadOnlyList<string> Problems, string Unit, string Relation, DateTimeOffset Generated, DateTimeOffset? First, DateTimeOffset? Last,
    double Epsilon, double EpsilonOutside, double Delta, string Accountant, PrivacyBudget? Budget, double? Remaining, int Unconfirmed, int Losses, IReadOnlyList<ReleaseGroup> Releases, IReadOnlyList<SpentPoint> OverTime, AttackBounds Attack)
{
    private const int Points = 60, CurvePoints = 16;

    /// <param name="ledger">Broken ones too: the report says so.</param>
    /// <param name="delta">In (0, 1); ε is stated at it.</param>
    /// <param name="now">When the report is made.</param>
    public static PrivacyReport Of(LedgerVerification ledger, double delta, DateTimeOffset now)
    {
        NeighboringRelation relation = ledger.Terms?.Relation ?? NeighboringRelation.AddOrRemoveOne;
        (PrivacyLoss spent, string accountant) = LedgerFigures.Spent(ledger.Records, delta, relation);
        LedgerRecord[] reserving = [.. ledger.Records.Where(record => record.Charge.Count > 0)];
        return new PrivacyReport(
            ledger.DataSet, ledger.LedgerId, ledger.KeySha256, ledger.Head?.Count ?? ledger.Records.Count, ledger.Valid, ledger.Problems, LedgerNames.Of(ledger.Terms?.Unit ?? PrivacyUnit.Record), LedgerNames.Of(relation), now,
            reserving.FirstOrDefault()?.Time, reserving.LastOrDefault()?.Time, spent.Epsilon, LedgerFigures.SpentOutside(ledger.Records, spent).Epsilon, delta, accountant, ledger.Budget,
            ledger.Budget is { } limit ? Math.Max(0, limit.Epsilon - (limit.Delta == delta ? spent.Epsilon : LedgerFigures.Spent(ledger.Records, limit.Delta, relation).Loss.Epsilon)) : null,
            ledger.Uncommitted.Count, ledger.Records.Count(record => record is LostRecord), [.. Groups(ledger, delta, relation)],
            [.. LedgerFigures.OverTime(ledger.Records, delta, relation, Points).Select(point => new SpentPoint(point.Time, point.Epsilon))], Bounds(ledger, spent, relation));
    }

    private static IEnumerable<ReleaseGroup> Groups(LedgerVerification ledger, double delta, NeighboringRelation relation)
    {
        Dictionary<string, double> known = []; // runs that repeat each other cost the same
        double Epsilon(IReadOnlyList<PrivacyEvent> events, IEnumerable<LedgerRecord> records)
        {
            string key = PrivacyEventJson.Write(events);
            return known.TryGetValue(key, out double epsilon) ? epsilon : known[key] = LedgerFigures.Spent(records, delta, relation).Loss.Epsilon;
        }

        foreach (var group in ledger.Records.OfType<ReservedRecord>().GroupBy(record => (record.Release.Run, record.Release.Purpose, record.Release.Recipient)))
        {
            IReadOnlyList<PrivacyEvent> events = LedgerFigures.Events(group, relation);
            yield return new ReleaseGroup(
                group.Key.Run, group.Key.Purpose, group.Key.Recipient, group.Count(), group.Count(record => ledger.Uncommitted.Contains(record.Number)), group.First().Time, group.Last().Time,
                [.. events.Select(MechanismText.Of)], Epsilon(events, group));
        }

        LostRecord[] lost = [.. ledger.Records.OfType<LostRecord>()];
        if (lost.Length > 0) yield return new ReleaseGroup("(lost records)", "charged", "", lost.Length, 0, lost[0].Time, lost[^1].Time, ["records that were lost, at the cost that they had reserved"], LedgerFigures.Spent(lost, delta, relation).Loss.Epsilon);
    }

    private static AttackBounds Bounds(LedgerVerification ledger, PrivacyLoss spent, NeighboringRelation relation)
    {
        if (double.IsPositiveInfinity(spent.Epsilon)) return new AttackBounds(1, 1, 1, 1);
        IReadOnlyList<PrivacyEvent> events = LedgerFigures.Events(ledger.Records, relation);
        IEnumerable<double> epsilons = Enumerable.Range(1, CurvePoints).Select(i => spent.Epsilon * i / CurvePoints);
        TradeOff curve;
        try
        {
            curve = TradeOff.Of(new PldAccountant(), events, relation, epsilons);
        }
        catch (UnsupportedEventException)
        {
            curve = TradeOff.Of(new RdpAccountant(), events, relation, epsilons);
        }

        return new AttackBounds(curve.AttackSuccess, 1 - curve.FalseNegativeRate(0.01), 1 - curve.FalseNegativeRate(0.001), curve.Posterior(0.5, 0.01));
    }
}

/// <summary>All releases of one run, purpose and recipient.</summary>
/// <param name="Count">How many.</param>
/// <param name="Mechanisms">In words, equal ones counted together.</param>
/// <param name="Epsilon">Theirs alone.</param>
public sealed record ReleaseGroup(string Run, string Purpose, string Recipient, int Count, int Unconfirmed, DateTimeOffset First, DateTimeOffset Last, IReadOnlyList<string> Mechanisms, double Epsilon);

/// <param name="Time">Of a record that reserves something.</param>
/// <param name="Epsilon">Of all up to it; +∞ where one was without noise.</param>
public sealed record SpentPoint(DateTimeOffset Time, double Epsilon);

/// <summary>The most that anybody can achieve who sees every release and knows everything but whether one unit is in the data.</summary>
/// <param name="Success">How often he is right, where both are equally likely; 0.5 is guessing.</param>
/// <param name="DetectionAtOnePercent">Share of the units present that he finds when one in a hundred absent ones is called present by mistake.</param>
/// <param name="DetectionAtOnePerMille">The same at one in a thousand.</param>
/// <param name="BeliefFromHalf">How sure he can be, having been undecided, on the one in a hundred outputs that tell most.</param>
public sealed record AttackBounds(double Success, double DetectionAtOnePercent, double DetectionAtOnePerMille, double BeliefFromHalf);

/// <summary>A privacy event as a sentence.</summary>
internal static class MechanismText
{
    public static string Of(PrivacyEvent one) => one switch
    {
        RepeatedEvent repeated => Invariant($"{repeated.Count} × {Of(repeated.Event)}"),
        GaussianEvent gaussian => Invariant($"Gaussian noise, {gaussian.NoiseMultiplier.Value:G4} times the sensitivity{Rate(gaussian.SamplingRate)}"),
        LaplaceEvent laplace => Invariant($"Laplace noise of scale {laplace.Scale:G4}, sensitivity {laplace.Sensitivity:G4}{Rate(laplace.SamplingRate)}"),
        DiscreteGaussianEvent discrete => Invariant($"discrete Gaussian noise of variance {discrete.Variance:G4}, sensitivity {discrete.Sensitivity}{Rate(discrete.SamplingRate)}"),
        DiscreteLaplaceEvent discrete => Invariant($"discrete Laplace noise of parameter {discrete.Parameter:G4}, sensitivity {discrete.Sensitivity}{Rate(discrete.SamplingRate)}"),
        RandomizedResponseEvent response => Invariant($"randomised response among {response.Categories}, noise {response.NoiseParameter:G4}"),
        NonPrivateEvent => "no noise at all",
        RenyiEvent => "known by its cost only",
        _ => one.GetType().Name,
    };

    private static string Rate(SamplingRate rate) => rate.Value == 1 ? "" : Invariant($", each drawn with probability {rate.Value:G4}");
}
