using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Learning;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>The privacy ledgers of a node's data sets: opened when first used, compared with what the coordinator has seen of them.</summary>
/// <param name="acceptLoss">Go on with a ledger that is behind, and charge what its missing records had reserved.</param>
public sealed class NodeLedgers(NodeConfiguration configuration, bool acceptLoss, TimeProvider time, ILogger logger) : IDisposable
{
    /// <summary>What a data set's ledger is about: one record, or one person where its entry says whose a record is, under add-or-remove-one.</summary>
    /// <param name="source">Null: a data set that node.yaml does not name.</param>
    public static LedgerTerms TermsOf(DataSource? source) => new(source?.Person is null ? PrivacyUnit.Record : PrivacyUnit.Person, NeighboringRelation.AddOrRemoveOne);

    private readonly Dictionary<string, PrivacyLedger> _open = [];

    /// <summary>The coordinator's name in the records.</summary>
    public string Recipient => configuration.Coordinator.Authority;

    /// <summary>The data set that a run of one's own model reads, which names none: the node's only one.</summary>
    public string OwnDataSet => OwnDataSetOf(configuration);

    public static string OwnDataSetOf(NodeConfiguration configuration) => configuration.Data is [var only] ? only.Id : "own-data";

    /// <summary>What a run of one's own model is told, which names no data set, where it could read one that has a budget in another ledger; null: it is clear which one to charge.</summary>
    public static string? AmbiguityOf(NodeConfiguration configuration, DataSchema? schema) => schema is null && configuration.Data.Count > 1 && configuration.Data.Any(source => source.Budget is not null)
        ? "The run names no data set, and this node has several, some with a privacy budget: it cannot tell which one to charge."
        : null;

    public string? AmbiguityOf(LearningTask task) => AmbiguityOf(configuration, task.Schema);

    /// <summary>Of its own entry, else the policy's, which is for every data set.</summary>
    public static PrivacyBudget? BudgetOf(NodeConfiguration configuration, DataSource? source) => source is null ? configuration.Policy.Budget : source.Budget;

    /// <summary>The SQLite file of a data set's ledger.</summary>
    /// <param name="source">Null: a data set that node.yaml does not name.</param>
    public static string PathOf(NodeConfiguration configuration, DataSource? source) => source?.Ledger ?? Path.Combine(configuration.State, NodeFolder.LedgerName);

    /// <summary>Whether there is a ledger of the data set already. Opens and makes nothing.</summary>
    /// <exception cref="LedgerException">The file cannot be read.</exception>
    public static bool Exists(string path, string dataSet) => File.Exists(path) && LedgerVerification.DataSets(path).Contains(dataSet);

    /// <summary>What sets a ledger right that is behind what others have seen of it.</summary>
    public const string RepairOfLoss = "Put the newest copy back, or start the node once with --accept-loss, which charges what the missing records had reserved.";

    /// <summary>Whether node.yaml names this data set.</summary>
    public bool Names(string dataSet) => configuration.Data.Any(source => source.Id == dataSet);

    /// <exception cref="LedgerException">The ledger cannot be used.</exception>
    public PrivacyLedger Of(string dataSet)
    {
        if (_open.TryGetValue(dataSet, out PrivacyLedger? ledger)) return ledger;
        DataSource? source = configuration.Data.FirstOrDefault(source => source.Id == dataSet);
        ledger = PrivacyLedger.Open(PathOf(configuration, source), dataSet, TermsOf(source), time);
        try
        {
            if (BudgetOf(configuration, source) is { } budget) ledger.SetBudget(budget);
        }
        catch
        {
            ledger.Dispose();
            throw;
        }

        // Only with its budget: a ledger without it would allow everything.
        return _open[dataSet] = ledger;
    }

    /// <summary>What a run will cost a data set, by its ledger and this node's policy.</summary>
    /// <exception cref="LedgerException">The ledger cannot be used.</exception>
    public RunForecast Forecast(LearningTask task, int values, string dataSet)
    {
        PrivacyLedger ledger = Of(dataSet);
        return RunForecast.Of(task, values, dataSet, configuration.Policy, ledger, ledger.Budget, configuration.Data.FirstOrDefault(source => source.Id == dataSet)?.Person);
    }

    /// <summary>Stops a node whose ledger is behind what the coordinator has seen of it, or accepts the loss if that was said.</summary>
    /// <exception cref="LedgerException">A ledger is behind, or cannot be used.</exception>
    public void Compare(IEnumerable<LedgerHead> known)
    {
        foreach (LedgerHead head in known)
        {
            if (head.DataSet != OwnDataSet && configuration.Data.All(source => source.Id != head.DataSet)) continue; // no longer held here
            PrivacyLedger ledger = Of(head.DataSet);
            try
            {
                ledger.RequireNotBehind(head);
            }
            catch (LedgerException error) when (error.Fault == LedgerFault.RolledBack)
            {
                if (!acceptLoss) throw new LedgerException(LedgerFault.RolledBack, $"{error.Message} {RepairOfLoss}", error);
                ledger.AcceptLoss(head, Recipient);
                logger.LogWarning("{Message} The loss was accepted and charged.", error.Message);
            }
        }
    }

    public void Dispose()
    {
        foreach (PrivacyLedger ledger in _open.Values) ledger.Dispose();
    }
}
