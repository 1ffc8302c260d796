using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;

namespace Federation.Cli.Results;

/// <param name="Epsilon">Infinite where something was released without noise.</param>
/// <param name="Events">How many entries the event list had.</param>
internal sealed record EpsilonResult(double Epsilon, double Delta, string Accountant, int Events);

/// <summary>One line of a batch's answer: the case's id as it was given, and either of the other two.</summary>
internal sealed record BatchResult(
    JsonElement? Id,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Epsilon,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Error);

/// <summary>The one parameter that was left open.</summary>
internal sealed record CalibrationResult(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? NoiseMultiplier,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? SamplingRate = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Steps = null);

/// <param name="Nearby">The same target with half and double the batch and epochs.</param>
internal sealed record PlanResult(double Epsilon, double Delta, string Accountant, long Examples, PlanChoice Choice, IReadOnlyList<PlanChoice> Nearby);

/// <param name="NoisePerGradient">Standard deviation of the noise on the mean gradient, in clipping norms: noise multiplier over batch size.</param>
internal sealed record PlanChoice(long BatchSize, double Epochs, double SamplingRate, long Steps, double NoiseMultiplier, double NoisePerGradient);

internal sealed record LedgerList(string File, IReadOnlyList<LedgerSummary> DataSets);

internal sealed record BudgetEntry(double Epsilon, double Delta);

/// <param name="Records">By the signed head.</param>
/// <param name="Uncommitted">Reservations whose release was never confirmed; they count.</param>
/// <param name="Losses">How often records were lost and charged.</param>
/// <param name="EpsilonOutside">Against those who know no part of a noise that several sites share.</param>
/// <param name="Accountant">The one that showed the least ε.</param>
/// <param name="Entries">With --records.</param>
internal sealed record LedgerSummary(
    string DataSet, string Ledger, string Unit, string Relation, bool Valid, long Records, int Releases, int Uncommitted, int Losses, BudgetEntry? Budget, double Epsilon, double EpsilonOutside, double Delta, string Accountant,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<LedgerEntry>? Entries);

/// <param name="Text">What it says, in words.</param>
internal sealed record LedgerEntry(long Number, DateTimeOffset Time, string Kind, string? Run, long? Round, string? Purpose, string? Recipient, string Text)
{
    public static LedgerEntry Of(LedgerRecord record, IReadOnlyCollection<long> uncommitted) => record switch
    {
        OpenedRecord opened => Plain("opened", $"ledger of '{opened.DataSet}', one {LedgerNames.Of(opened.Terms.Unit)}, {LedgerNames.Of(opened.Terms.Relation)}", record),
        BudgetRecord budget => Plain("budget", string.Create(CultureInfo.InvariantCulture, $"ε = {budget.Budget.Epsilon:G6} at δ = {budget.Budget.Delta:G3}"), record),
        ReservedRecord { Release: var release } => new(record.Number, record.Time, "reserved", release.Run, release.Round, release.Purpose, release.Recipient, PrivacyEventJson.Write(release.Events) + (uncommitted.Contains(record.Number) ? " unconfirmed" : "")),
        CommittedRecord committed => new(record.Number, record.Time, "committed", null, null, null, committed.Recipient, $"reservation {committed.Reservation}, content {Terminal.Text.Short(committed.Content)}"),
        LostRecord lost => Plain("lost", $"{lost.LostCount} records of {Terminal.Text.Short(lost.LostLedger)} were known; the missing ones are charged", record),
        _ => throw new ArgumentException($"{record.GetType().Name} is no record that is shown.", nameof(record)),
    };

    private static LedgerEntry Plain(string kind, string text, LedgerRecord record) => new(record.Number, record.Time, kind, null, null, null, null, text);
}

internal sealed record VerificationResult(string File, bool Valid, IReadOnlyList<VerifiedLedger> Ledgers);

/// <param name="KeySha256">Of the public key.</param>
/// <param name="Records">Those that could be read.</param>
/// <param name="Count">By the signed head.</param>
internal sealed record VerifiedLedger(string DataSet, bool Valid, string Ledger, string? KeySha256, int Records, long Count, string? Hash, IReadOnlyList<string> Problems);
