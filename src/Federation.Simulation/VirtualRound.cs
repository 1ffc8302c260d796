using System.Collections.Immutable;
using Federation.Formats.Runs;
using Federation.Server.Runs;

namespace Federation.Simulation;

/// <summary>What becomes of an open round, by the run's own rules: every client's words in the order of virtual time. Pure, so it is known whose updates count before any is trained.</summary>
/// <param name="Closed">Null: too few updates came.</param>
/// <param name="At">When it was closed or abandoned.</param>
/// <param name="Silent">Clients that were asked and fell silent.</param>
internal sealed record VirtualRound(RunState State, Aggregate? Closed, IReadOnlyList<RunEffect> Effects, DateTimeOffset At, int Silent)
{
    /// <param name="start">In an open round.</param>
    /// <param name="failed">Why, of clients whose training failed.</param>
    public static VirtualRound Play(RunState start, RunSpec round, VirtualClients clients, IReadOnlyDictionary<string, string> failed)
    {
        var open = (RoundOpen)start.Phase;
        PriorityQueue<RunEvent, (DateTimeOffset At, string Site)> coming = new(Comparer<(DateTimeOffset At, string Site)>.Create((a, b) => a.At != b.At ? a.At.CompareTo(b.At) : string.CompareOrdinal(a.Site, b.Site)));
        int silent = 0;
        foreach (string site in open.Cohort)
        {
            if (clients.DropsOut(site, start.Round))
            {
                silent++;
                continue;
            }

            DateTimeOffset at = open.OpenedAt + clients.TimeFor(site, round);
            if (at > open.Deadline) continue; // comes too late for anybody to see
            coming.Enqueue(
                failed.TryGetValue(site, out string? reason)
                    ? new SiteFailed(site, start.Round, reason)
                    : new UpdateArrived(site, start.Round, start.ModelSha256, new Contribution(site, (ulong)clients.ExamplesOf(site).Count)), // who it is from names an update here
                (at, site));
        }

        RunState state = start;
        List<RunEffect> effects = [];
        DateTimeOffset now = open.OpenedAt;
        while (IsOpen(state, start.Round))
        {
            RunEvent happened = coming.TryDequeue(out RunEvent? next, out (DateTimeOffset At, string Site) when) ? next : new Tick();
            now = next is null ? open.Deadline : when.At;
            Transition transition = RunMachine.Apply(state, happened, new Roster(clients.All, clients.Live(now)), now);
            effects.AddRange(transition.Effects);
            state = transition.State;
        }

        return new(state, effects.OfType<Aggregate>().FirstOrDefault(), effects, now, silent);
    }

    private static bool IsOpen(RunState state, int round) => state.Round == round && state.Phase is RoundOpen;
}
