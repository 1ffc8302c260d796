using System.Collections.Immutable;
using System.Globalization;
using Federation.Protocol;

namespace Federation.Server.Runs;

/// <summary>What secure aggregation adds to the rules of a run: keys before a round, new ones when sites change or the old ones are used up, and the end of an epoch whose shares are lost. Pure.</summary>
internal static class SecureRules
{
    /// <summary>Whether the next round can use the keys there are.</summary>
    public static bool Fit(RunState state, Roster roster) => state.Keys is { } keys && keys.Identities == roster.Identities && keys.Openings < state.Plan.MaxOpenings;

    public static EpochKeys? Used(EpochKeys? keys) => keys is null ? null : keys with { Openings = keys.Openings + 1 };

    public static Transition Begin(RunState state)
    {
        int epoch = state.Epoch + 1;
        var dropped = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);
        return new Transition(state with { Epoch = epoch, Keys = null, Phase = new MakingKeys(epoch, 0, dropped) }, [new MakeKeys(epoch, 0, dropped)]);
    }

    public static Transition Made(RunState state, EpochMade made, Roster roster, DateTimeOffset now)
    {
        if (state.Phase is not MakingKeys making || making.Epoch != made.Keys.Epoch || making.Attempt != made.Attempt) return new Transition(state, [], Duplicate: true);
        string message = string.Create(CultureInfo.InvariantCulture, $"Key epoch {made.Keys.Epoch}: {made.Members} members hold shares, any {made.Threshold} open a sum (certificate {made.Keys.CertificateSha256[..12]}).");
        Transition next = RunMachine.OpenOrWait(state with { Keys = made.Keys, Phase = new Waiting("") }, roster, now);
        return next with { Effects = [new Announce(RunLog.KeysMade, message, state.Round), .. next.Effects] };
    }

    public static Transition Failed(RunState state, EpochFailed failed)
    {
        if (state.Phase is not MakingKeys making || making.Epoch != failed.Epoch || making.Attempt != failed.Attempt) return new Transition(state, [], Duplicate: true);
        MakingKeys next = making with { Attempt = making.Attempt + 1, Dropped = [.. failed.Dropped] };
        return new Transition(state with { Phase = next }, [new Announce(RunLog.KeysFailed, failed.Reason, state.Round), new MakeKeys(next.Epoch, next.Attempt, next.Dropped)]);
    }

    public static Transition Rotate(RunState state) => state.Plan.Secure
        ? new Transition(state.Keys is null ? state : state with { Keys = state.Keys with { Openings = int.MaxValue } }, [new Announce(RunLog.KeysMade, "New keys are made before the next round.", state.Round)])
        : RunMachine.Refuse(state, Refusal.Invalid, "The run has no secure aggregation, hence no keys.");

    public static Transition Lost(RunState state, OpeningLost lost)
    {
        if (state.Phase is not Aggregating closed || lost.Round != state.Round) return new Transition(state, [], Duplicate: true);
        if (state.Plan.AbortOnLoss) return RunMachine.End(state, RunEnd.Failed, $"Round {lost.Round} cannot be opened: {lost.Reason}");
        return new Transition(
            state with { Phase = new Waiting(""), Keys = null, ModelSha256 = lost.ModelSha256 },
            [
                new KeepModel(state.Round, lost.ModelSha256),
                new Summarize(state.Round, "abandoned", closed.Cohort, closed.Contributions, closed.OpenedAt),
                new DropUploads(state.Round),
                new Announce(RunLog.RoundAbandoned, $"Round {state.Round} abandoned: its sum cannot be opened. {lost.Reason} The weights stay, under the hash {lost.ModelSha256[..12]}; new keys are made.", state.Round, Model: lost.ModelSha256),
            ]);
    }
}
