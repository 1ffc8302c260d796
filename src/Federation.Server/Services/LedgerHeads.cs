using Federation.Privacy.Ledger;
using Federation.Protocol;
using Federation.Server.Storage;
using Grpc.Core;

namespace Federation.Server.Services;

/// <summary>What sites show of their privacy ledgers. The coordinator keeps the latest of each and refuses one behind it: it was put back from an old copy, and would spend its budget twice.</summary>
internal static class LedgerHeads
{
    private const int MostDataSets = 1000;

    /// <exception cref="RpcException">The head is not signed, or behind the latest.</exception>
    public static void Keep(ICoordinatorStore store, string site, V1.LedgerHead? message)
    {
        if (message is null) return; // an evaluator has none; who leaves it out only gives up what protects himself
        LedgerHead head = message.ToDomain();
        if (!Formats.Names.IsSiteName(head.DataSet)) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, $"'{head.DataSet}' is no name of a data set.", "ledger_head.data_set");
        IReadOnlyList<LedgerHead> known = store.LedgerHeads(site);
        if (known.Count >= MostDataSets && known.All(other => other.DataSet != head.DataSet)) throw RpcError.Refuse(StatusCode.ResourceExhausted, Refusal.Invalid, $"The site has shown ledgers of {MostDataSets} data sets already.", "ledger_head");
        if (store.SaveLedgerHead(site, head) is not { } later) return;
        string what = later.Count > head.Count ? $"was rolled back from {later.Count} to {head.Count}" : $"went another way at record {head.Count - 1}";
        throw RpcError.Refuse(StatusCode.FailedPrecondition, Refusal.LedgerRolledBack, $"The ledger of '{head.DataSet}' {what}.", "ledger_head", "Put the newest copy back, or start the node once with --accept-loss.");
    }
}
