using Federation.Formats.Runs;
using Federation.Protocol;

namespace Federation.Server.Runs;

/// <summary>What a site's own words change in a run: it is ready or not, it is there again, it could not do its part. Pure.</summary>
internal static class SiteRules
{
    public static Transition Answer(RunState state, SiteAnswered answered)
    {
        if (!state.Sites.TryGetValue(answered.Site, out RunSite? site)) return RunMachine.Refuse(state, Refusal.NotInCohort, "The run does not ask this site.");
        SiteStanding standing = answered.Mismatches.Count == 0 ? SiteStanding.Ready : answered.AwaitsApproval ? SiteStanding.Awaiting : SiteStanding.Refused;
        // Of the signature that came while it looked it knows nothing yet: the question stays open.
        if (standing == SiteStanding.Awaiting && answered.Approvals < (state.Submission?.Approvals.Count ?? 0)) return new Transition(state, [], Duplicate: true);
        if (site.Standing != SiteStanding.Checking) return new Transition(state, [], Duplicate: true);
        RunState next = state with { Sites = state.Sites.SetItem(answered.Site, site with { Standing = standing, Reasons = [.. answered.Mismatches] }) };
        string reasons = string.Join(" ", answered.Mismatches);
        return new Transition(next, [standing switch
        {
            SiteStanding.Ready => new Announce(RunLog.SiteReady, $"{answered.Site} is ready.", Site: answered.Site),
            SiteStanding.Awaiting => new Announce(RunLog.SiteWaits, $"{answered.Site} waits: {reasons}", Site: answered.Site),
            _ => new Announce(RunLog.SiteRefused, $"{answered.Site} does not fit the run: {reasons}", Site: answered.Site),
        }]);
    }

    /// <summary>One more signature: whoever waits for one is asked again.</summary>
    public static Transition Approve(RunState state, ApprovalSigned signed)
    {
        if (state.Submission is not { Nonce.Length: > 0 } submission) return RunMachine.Refuse(state, Refusal.Invalid, "The run was submitted in a way that nobody can co-sign; `fed run submit` submits one that can be.");
        if (submission.Approvals.Any(approval => approval.KeySha256 == signed.Approval.KeySha256)) return new Transition(state, [], Duplicate: true);
        if (submission.Approvals.Count >= SignedSubmission.MostApprovals) return RunMachine.Refuse(state, Refusal.Invalid, $"The run has {SignedSubmission.MostApprovals} co-signatures; more are not taken.");
        string[] waiting = [.. state.Sites.Where(site => site.Value.Standing == SiteStanding.Awaiting).Select(site => site.Key)];
        RunState next = state with
        {
            Submission = submission with { Approvals = [.. submission.Approvals, signed.Approval] },
            Sites = state.Sites.SetItems(waiting.Select(site => KeyValuePair.Create(site, state.Sites[site].AskedAnew))),
        };
        return new Transition(next, [new Announce(RunLog.Approved, $"Co-signed with the key sha256:{signed.Approval.KeySha256}.{(waiting.Length == 0 ? "" : $" Asked again: {string.Join(", ", waiting)}.")}", state.Round)]);
    }

    /// <summary>Who waits for an approval, for a sentence about what is waited for; empty: nobody.</summary>
    public static string Waiting(RunState state)
    {
        string[] sites = [.. state.Sites.Where(site => site.Value.Standing == SiteStanding.Awaiting).Select(site => site.Key)];
        return sites.Length == 0 ? "" : $" {string.Join(", ", sites)} {(sites.Length == 1 ? "waits" : "wait")} for approval; `fed run show` says of what, `fed run approve` co-signs.";
    }

    public static Transition Rejoin(RunState state, SiteJoined joined)
    {
        RunState next = SecureRules.Joined(state, joined.Site);
        if (state.Sites.TryGetValue(joined.Site, out RunSite? site) && site.Standing is (SiteStanding.Awaiting or SiteStanding.Refused or SiteStanding.Failed)) next = next with { Sites = state.Sites.SetItem(joined.Site, site.Standing == SiteStanding.Awaiting ? site.AskedAnew : RunSite.Asked) };
        return new Transition(next, [], Duplicate: ReferenceEquals(next, state));
    }

    public static Transition Fail(RunState state, SiteFailed failed)
    {
        if (!state.Sites.TryGetValue(failed.Site, out RunSite? site)) return RunMachine.Refuse(state, Refusal.NotInCohort, "The run does not ask this site.");
        var announce = new Announce(RunLog.SiteFailed, $"{failed.Site}: {failed.Reason}", failed.Round, failed.Site);
        if (failed.AwaitsApproval && (failed.Round == 0 || failed.Round == state.Round)) return AskAnew(state, failed, site, announce);
        if (failed.Round == 0) return FailCheck(state, failed, announce);
        if (failed.Round != state.Round) return RunMachine.Refuse(state, Refusal.WrongRound, $"Round {failed.Round} is over.");
        EpochKeys? keys = failed.RosterRefused ? SecureRules.Without(state.Keys, failed.Site) : state.Keys;
        if (state.Phase is Evaluating evaluating && evaluating.Pending.Contains(failed.Site))
        {
            return new Transition(state with { Keys = keys, Phase = evaluating with { Pending = evaluating.Pending.Remove(failed.Site) } }, [announce]);
        }

        if (state.Phase is not RoundOpen open || !open.Cohort.Contains(failed.Site) || open.Contributions.ContainsKey(failed.Site)) return RunMachine.Refuse(state, Refusal.WrongRound, $"Round {failed.Round} does not wait for this site.");
        if (open.Failed.Contains(failed.Site)) return new Transition(state, [], Duplicate: true);
        int failures = site.Failures + (failed.RosterRefused && state.Plan.Secure ? 0 : 1); // an administrator has accepted another roster: nothing failed
        RunSite after = failures < RunMachine.MostFailures ? site with { Failures = failures } : new RunSite(SiteStanding.Failed, [failed.Reason], failures);
        return new Transition(state with { Keys = keys, Phase = open with { Failed = open.Failed.Add(failed.Site) }, Sites = state.Sites.SetItem(failed.Site, after) }, [announce]);
    }

    /// <summary>Nobody waits for the site, and it is not given up: asked again about the run as it is now, it says whether it still waits. One that says so in round after round, without an update between, has failed like any other.</summary>
    private static Transition AskAnew(RunState state, SiteFailed failed, RunSite site, Announce announce)
    {
        if (site.Standing != SiteStanding.Ready) return new Transition(state, [], Duplicate: true);
        int failures = site.Failures + 1;
        RunSite after = failures < RunMachine.MostFailures ? site.AskedAnew with { Failures = failures } : new RunSite(SiteStanding.Failed, [failed.Reason], failures);
        return new Transition(state with { Phase = Without(state.Phase, failed.Site), Sites = state.Sites.SetItem(failed.Site, after) }, [announce]);
    }

    /// <summary>What is under way waits for this site no more; what it has contributed stays counted.</summary>
    private static RunPhase Without(RunPhase phase, string site) => phase switch
    {
        RoundOpen open when open.Cohort.Contains(site) && !open.Contributions.ContainsKey(site) => open with { Failed = open.Failed.Add(site) },
        Evaluating evaluating => evaluating with { Pending = evaluating.Pending.Remove(site) },
        RunPhase other => other,
    };

    /// <summary>What the site has contributed stays counted; nothing more is waited for. Enrolled again with a new key, it is asked like a new one.</summary>
    public static Transition Revoke(RunState state, SiteRevoked revoked)
    {
        if (!state.Sites.ContainsKey(revoked.Site)) return new Transition(state, [], Duplicate: true);
        RunState next = state with { Phase = Without(state.Phase, revoked.Site), Sites = state.Plan.Sites is null ? state.Sites.Remove(revoked.Site) : state.Sites.SetItem(revoked.Site, RunSite.Asked) };
        return new Transition(next, [new Announce(RunLog.SiteFailed, $"{revoked.Site}: the operator revoked its key; the run goes on without it.", state.Round, revoked.Site)]);
    }

    /// <summary>The site cannot check its data; a round that is open does not wait for it either.</summary>
    private static Transition FailCheck(RunState state, SiteFailed failed, Announce announce)
    {
        RunPhase phase = state.Phase is RoundOpen open && open.Cohort.Contains(failed.Site) && !open.Contributions.ContainsKey(failed.Site) ? open with { Failed = open.Failed.Add(failed.Site) } : state.Phase;
        return new Transition(state with { Phase = phase, Sites = state.Sites.SetItem(failed.Site, new RunSite(SiteStanding.Failed, [failed.Reason])) }, [announce]);
    }
}
