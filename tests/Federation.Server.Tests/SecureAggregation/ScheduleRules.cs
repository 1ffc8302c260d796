using System.Collections.Immutable;
using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;
using Answer = Federation.Privacy.SecureAggregation.OpeningAnswer;
using Contribution = Federation.Server.Runs.Contribution;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>
/// What must hold whatever happens, told from everything that ever left a site, as a coordinator that keeps it all could use it.
/// Members that lie, or whose store was put back, count as answering whatever they are asked; the schedules keep them to as many as the threshold resists.
/// </summary>
internal sealed class ScheduleRules(RunSchedule schedule)
{
    private readonly List<Given> _given = [];
    private readonly Dictionary<string, ulong[]> _numbers = []; // by file
    private readonly List<(ScheduledSite Site, int Round, string Purpose, string Model, string File)> _contributed = [];

    /// <summary>An answer that left a member.</summary>
    private sealed record Given(ScheduledSite Member, int Index, Opening Opening, string Model, string Set, int Contributors, ImmutableArray<int> Active, string Part);

    /// <summary>The first rule that was broken; null: none.</summary>
    public string? Broken { get; private set; }

    /// <summary>Every contribution that left a site, each once.</summary>
    public List<StoredContribution> Sent { get; } = [];

    public int Openings { get; private set; }

    /// <summary>Active sets that any opening was asked for, at most.</summary>
    public int MostActiveSets => _given.GroupBy(given => (given.Opening, given.Set)).Select(opening => opening.Select(given => string.Join(',', given.Active)).Distinct().Count()).DefaultIfEmpty().Max();

    /// <summary>A contribution is written, not stored bytes sent again: held against what left the site before.</summary>
    /// <param name="numbers">What is in the file.</param>
    public void Made(ScheduledSite site, StoredContribution made, ulong[] numbers)
    {
        _numbers[Sha256Hex.Of(made.File)] = numbers;
        if (site.IsRestored) return; // it has forgotten some
        (int round, string purpose) = ((int)made.Round.Opening.Round, made.Round.Opening.Purpose);
        foreach (var before in _contributed.Where(before => before.Site == site && before.Purpose == purpose))
        {
            string again = $"{site.Name} contributes to the {made.Round.Opening} after round {before.Round}";
            if (before.Round > round) Break($"{again}: rounds go back");
            if (before.Round == round && before.Model != made.Model) Break($"{again}: from another model");
            if (before.Model != made.Model) continue;
            if (_given.Any(given => given.Member == site && given.Opening.Round == (ulong)before.Round && given.Opening.Purpose == purpose)) Break($"{again}, which it has helped to open: from the same model");
            if (before.Round != round && purpose != Opening.Update) Break($"{again}: the same numbers are encrypted twice");
        }
    }

    public void Contributed(ScheduledSite site, StoredContribution sent)
    {
        (int round, string purpose, string file) = ((int)sent.Round.Opening.Round, sent.Round.Opening.Purpose, Sha256Hex.Of(sent.File));
        if (!site.Disk.Contributions.Any(past => past.Round == round && past.Purpose == purpose && past.Model == sent.Model)) Break($"{site.Name} sends what it has not noted");
        if (_contributed.Any(before => before.File == file)) return; // the stored bytes again
        Sent.Add(sent);
        _contributed.Add((site, round, purpose, sent.Model, file));
    }

    public void Answered(ScheduledSite member, OpeningRequest request, SignedOpeningAnswer answer)
    {
        Answer said = Answer.Decode(answer.Message.Body.Span);
        var given = new Given(member, said.Index, request.Opening, Convert.ToHexString(request.Round.Model), Convert.ToHexString(said.Set), request.Contributions.Count, [.. request.Active], Convert.ToHexString(said.PartHash));
        if (given.Contributors < CommitteePolicy.FewestContributors) Break($"{member.Name} opens a sum of {given.Contributors}");
        if (request.Contributions.Select(contribution => contribution.Site).Distinct().Count() < given.Contributors) Break($"{member.Name} opens a sum with one site twice");
        if (said.RecordCount > member.Disk.Record.Count || member.Disk.Record.All(entry => entry.Answer is null || !entry.Answer.AsSpan().SequenceEqual(answer.Part))) Break($"{member.Name} answers what it has not written down");
        if (IsHonest(member))
        {
            foreach (Given before in _given.Where(before => before.Member == member && before.Opening.Purpose == given.Opening.Purpose))
            {
                if (before.Opening.Round == given.Opening.Round && before.Set != given.Set) Break($"{member.Name} answers for two sets of contributors of one opening, {given.Opening}");
                if (before.Model == given.Model && before.Set != given.Set) Break($"{member.Name} answers for two sets of contributors of one model, in rounds {before.Opening.Round} and {given.Opening.Round}");
                if (before.Opening == given.Opening && before.Set == given.Set && before.Active.SequenceEqual(given.Active) && before.Part != given.Part) Break($"{member.Name} gives two answers to one question, {given.Opening}");
            }
        }

        if (!_given.Contains(given)) _given.Add(given);
        int sets = _given.Where(other => other.Member == member && other.Opening == given.Opening).Select(other => string.Join(',', other.Active)).Distinct().Count();
        if (IsHonest(member) && sets > 3) Break($"{member.Name} answers for {sets} active sets of the {given.Opening}");
        if (IsHonest(member) && _given.Where(other => other.Member == member && other.Opening.Epoch == given.Opening.Epoch).Select(other => other.Opening).Distinct().Count() > schedule.Policy.MaxOpenings) Break($"{member.Name} answers for more than {schedule.Policy.MaxOpenings} openings of epoch {given.Opening.Epoch}");
    }

    public void Opened(Opening opening, ImmutableSortedDictionary<string, Contribution> contributions, ulong[] sum)
    {
        Openings++;
        if (contributions.Count < CommitteePolicy.FewestContributors) Break($"The {opening} is opened with {contributions.Count} contributors");
        ulong[] plain = new ulong[sum.Length];
        foreach (Contribution contribution in contributions.Values)
        {
            for (int i = 0; i < plain.Length; i++) plain[i] += _numbers[contribution.UpdateSha256][i];
        }

        bool isMalformed = schedule.Sites.Any(site => site.Lie == Lie.MalformedContributions && contributions.ContainsKey(site.Name)); // then it is the sum of nothing
        if (!isMalformed && !plain.AsSpan().SequenceEqual(sum)) Break($"The {opening} opened to {string.Join(' ', sum)}; the contributions' sum is {string.Join(' ', plain)}");
    }

    public void CheckEnd()
    {
        CheckSums(given => $"round {given.Opening.Round}, {given.Opening.Purpose}");
        CheckSums(given => $"model {given.Model[..8]}, {given.Opening.Purpose}");
        RunState state = schedule.Coordinator.State;
        if (state.Phase is Ended { How: RunEnd.Completed }) return;
        string why = state.Phase switch { Ended ended => ended.Reason, Waiting waiting => waiting.Reason, _ => schedule.Coordinator.Waits?.For ?? "" };
        if (why.Length == 0) Break($"The run is {state.PhaseName} for ever, and nobody is told why");
        bool isBeyondRepair = schedule.IsCoordinatorLying // who lies can keep a run from its end
            || (state.Phase is not Ended && schedule.Sites.Any(site => site.IsGone)) // what is left of the shares may be too few
            || (schedule.Sites.Any(site => site.Lie != Lie.None) && why.StartsWith($"{SecureRules.MostLostOpenings} rounds in a row", StringComparison.Ordinal))
            || (schedule.MakesKeys && why.StartsWith("No keys after", StringComparison.Ordinal)); // attempts count while there are faults, too
        if (!isBeyondRepair) Break($"Nothing goes wrong any more, and the run is {state.PhaseName}: {why}");
    }

    public void Break(string what)
    {
        Broken ??= what;
        schedule.Say($"BROKEN: {what}");
    }

    /// <summary>Of one round, and of one model, no two sums can be opened, with whatever answers are about.</summary>
    private void CheckSums(Func<Given, string> of)
    {
        foreach (IGrouping<string, Given> one in _given.GroupBy(of))
        {
            string[] openable = [.. one.GroupBy(given => (given.Opening, given.Set)).Where(sum => sum.GroupBy(given => string.Join(',', given.Active)).Any(IsComplete)).Select(sum => sum.Key.Set).Distinct()];
            if (openable.Length > 1) Break($"{openable.Length} sums of {one.Key} can be opened");
        }
    }

    private bool IsComplete(IGrouping<string, Given> active) => active.First().Active.All(member => active.Any(given => given.Index == member) || schedule.Sites.Any(site => site.Index == member - 1 && !IsHonest(site)));

    private static bool IsHonest(ScheduledSite site) => site.Lie == Lie.None && !site.IsRestored;
}
