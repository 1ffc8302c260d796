namespace Federation.Server.Storage;

/// <summary>The tables, as steps from version to version: in SQLite's words, which <see cref="Database.Translate"/> makes those of others. A step is never changed once a program with it is out.</summary>
internal static class StoreSchema
{
    /// <summary>The step at i leads from version i to i + 1.</summary>
    public static readonly IReadOnlyList<string> Steps =
    [
        """
        CREATE TABLE invitations(secret TEXT PRIMARY KEY, site TEXT NOT NULL, expires INTEGER NOT NULL, used INTEGER);
        CREATE TABLE sites(name TEXT PRIMARY KEY, key TEXT, role TEXT, data TEXT NOT NULL DEFAULT '[]', seen INTEGER);
        CREATE TABLE runs(id TEXT PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, schema TEXT NOT NULL, submitted INTEGER NOT NULL, state TEXT NOT NULL, over INTEGER NOT NULL);
        CREATE TABLE events(run TEXT NOT NULL REFERENCES runs(id), sequence INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, round INTEGER NOT NULL, site TEXT NOT NULL, message TEXT NOT NULL,
            model TEXT NOT NULL, metrics TEXT, PRIMARY KEY(run, sequence)) WITHOUT ROWID;
        CREATE TABLE rounds(run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY(run, round)) WITHOUT ROWID;
        CREATE TABLE uploads(run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, site TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY(run, round, site)) WITHOUT ROWID;
        CREATE TABLE models(run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, created INTEGER NOT NULL, PRIMARY KEY(run, round)) WITHOUT ROWID;
        CREATE TABLE evaluations(run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, source TEXT NOT NULL, sums TEXT NOT NULL, PRIMARY KEY(run, round, source)) WITHOUT ROWID;
        CREATE TABLE told(run TEXT NOT NULL REFERENCES runs(id), site TEXT NOT NULL, PRIMARY KEY(run, site)) WITHOUT ROWID;
        """,

        // 2: heads of sites' privacy ledgers.
        "CREATE TABLE ledger_heads(site TEXT NOT NULL, data_set TEXT NOT NULL, head TEXT NOT NULL, PRIMARY KEY(site, data_set)) WITHOUT ROWID;",

        // 3: what secure aggregation needs.
        """
        CREATE TABLE rosters(version INTEGER PRIMARY KEY, roster BLOB NOT NULL);
        CREATE TABLE opening_answers(site TEXT PRIMARY KEY, count INTEGER NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE transcripts(number INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES runs(id), kind TEXT NOT NULL, round INTEGER NOT NULL, epoch INTEGER NOT NULL, content BLOB NOT NULL);
        """,

        // 4: keys that were taken from sites.
        """
        ALTER TABLE sites ADD COLUMN revoked INTEGER;
        CREATE TABLE revoked_keys(key TEXT PRIMARY KEY, site TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
        """,

        // 5: operators.
        "CREATE TABLE operators(name TEXT PRIMARY KEY, role TEXT NOT NULL, token INTEGER NOT NULL, proof TEXT NOT NULL, issued INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER) WITHOUT ROWID;",

        // 6: what sites say of themselves.
        "ALTER TABLE sites ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';",

        // 7: the newest head of the audit log.
        "CREATE TABLE audit_head(id INTEGER PRIMARY KEY, line INTEGER NOT NULL, hash TEXT NOT NULL);",
    ];
}
