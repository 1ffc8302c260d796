namespace Federation.Privacy.SecureAggregation;

/// <summary>A contribution of this site's that has left it, or may have.</summary>
/// <param name="Model">The global model it was made from.</param>
/// <param name="Rounding">Names the key that its rounding was drawn with, so that no other contribution has the same integers; empty: nothing was rounded.</param>
public sealed record PastContribution(int Round, string Purpose, string Model, string Rounding);

/// <summary>
/// A site's own rule against contributing again to a model that it has contributed to: whatever it is told, not if the earlier sum was, as far as it knows, opened.
/// The members' rule is one set a model; committees of two epochs may have no member in common, and then only this holds. Pure.
/// </summary>
public static class ContributionRule
{
    /// <summary>Whether a contribution may be made anew; one that is stored is sent again without asking.</summary>
    /// <param name="earlier">To the same run, in the order in which they were made.</param>
    /// <param name="answered">Whether this site, as a member, has answered for a round and purpose of the run.</param>
    /// <exception cref="ProtocolException">It may not; says what was tried.</exception>
    public static void Check(string run, int round, string purpose, string model, IReadOnlyList<PastContribution> earlier, Func<int, bool> answered)
    {
        foreach (PastContribution past in earlier.Where(past => past.Purpose == purpose))
        {
            if (past.Round > round) throw Refused($"Round {round} of run '{run}' is asked for after this site has contributed to round {past.Round}: rounds only go forward.");
            if (past.Round == round && past.Model != model) throw Refused($"This site has contributed to round {round} of run '{run}' from another model already.");
            if (past.Model != model) continue;
            string again = past.Round == round ? $"A second contribution to round {round}" : $"A contribution to round {round} from the model of round {past.Round}";
            if (answered(past.Round)) throw Refused($"{again} of run '{run}' is asked for, and this site has helped to open round {past.Round}.");
            if (past.Round == round) continue; // what was sent is lost here; at most one of the two is in the sum
            if (purpose != Opening.Update) throw Refused($"{again} of run '{run}' is asked for: the same numbers are not encrypted twice.");
            if (earlier.Any(later => later.Model != model && IsAfter(later, past))) throw Refused($"{again} of run '{run}' is asked for, and the run has gone on from that model since: its sum was opened.");
        }
    }

    // A model is evaluated in the round that made it.
    private static bool IsAfter(PastContribution later, PastContribution past) => later.Round > past.Round || (later.Round == past.Round && later.Purpose == Opening.Evaluation && past.Purpose == Opening.Update);

    private static ProtocolException Refused(string message) => new(Refusal.ContributedBefore, message);
}
