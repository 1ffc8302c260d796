using Federation.Learning;
using Federation.Privacy.Ledger;
using static System.FormattableString;
using Opening = Federation.Privacy.SecureAggregation.Opening;

namespace Federation.Client;

/// <summary>What a round's release of a run is called: in the ledger, and in this site's log.</summary>
internal static class SentUpdate
{
    public static string PurposeOf(LearningTask task) => task.Spec switch
    {
        { Statistics: not null } => SiteStatistics.QueryOf(task).Purpose,
        { Privacy.IsCentral: true } => Release.EntrustedUpdate,
        _ => Opening.Update,
    };

    public static string Words(LearningTask task, StoredUpdate update) => task.Spec switch
    {
        { Statistics: not null } => "encrypted sums of this site's table",
        { SecureAggregation: not null } => Invariant($"an encrypted update, loss {update.Loss:0.0000}"),
        { Privacy.IsCentral: true } => Invariant($"an update without noise, loss {update.Loss:0.0000}"),
        _ => Invariant($"an update of {update.Weight} examples, loss {update.Loss:0.0000}"),
    };
}
