using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Time.Testing;

namespace Federation.Privacy.Tests.Ledger;

/// <summary>A temporary folder with a ledger, and hands to meddle with it.</summary>
internal sealed class LedgerFolder : IDisposable
{
    public const string DataSet = "heart-disease", Recipient = "coordinator.example.org:8443";
    public static readonly LedgerTerms Terms = new(PrivacyUnit.Record, NeighboringRelation.AddOrRemoveOne);
    public static readonly PrivacyEvent Step = new GaussianEvent(1, 0.01);

    public string Folder { get; } = Directory.CreateTempSubdirectory("fed-ledger-tests-").FullName;

    public string Path => System.IO.Path.Combine(Folder, "ledger.db");

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 5, 4, 3, 2, 1, TimeSpan.Zero));

    public PrivacyLedger Open(string dataSet = DataSet, TimeSpan? patience = null) => PrivacyLedger.Open(Path, dataSet, Terms, Time, patience);

    public static Release Release(int round, params PrivacyEvent[] events) => new("run-1", round, "update", Recipient, events.Length > 0 ? events : [Step]);

    /// <summary>Reserves and commits rounds.</summary>
    public static void Fill(PrivacyLedger ledger, int rounds)
    {
        for (int round = 1; round <= rounds; round++) Commit(ledger, ledger.Reserve(Release(round)));
    }

    public static void Commit(PrivacyLedger ledger, long reservation) => ledger.Commit(reservation, Recipient, ledger.Head, new string('a', 64));

    /// <summary>A closed ledger with so many committed rounds: 2·rounds + 1 records.</summary>
    public LedgerFolder With(int rounds)
    {
        using PrivacyLedger ledger = Open();
        Fill(ledger, rounds);
        return this;
    }

    /// <summary>Somebody with SQLite and without the key.</summary>
    public void Meddle(string sql)
    {
        using SqliteConnection connection = new($"Data Source={Path};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
#pragma warning disable CA2100 // literals of the tests
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    public LedgerVerification Verify() => LedgerVerification.Of(Path, DataSet);

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
