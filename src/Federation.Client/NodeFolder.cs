using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Microsoft.Data.Sqlite;

namespace Federation.Client;

/// <summary>Names within a node's state folder. What the coordinator sent becomes part of a path only after it was checked.</summary>
public sealed class NodeFolder
{
    public const string LedgerName = "ledger.db";
    private SpareFiles? _spare;

    public NodeFolder(string path)
    {
        Path = path;
        PrivateFile.CreateFolder(path);
    }

    public string Path { get; }

    /// <summary>PKCS#8, mode 0600; never leaves the site.</summary>
    public string Key => In("identity.key");

    /// <summary>The certificate and the CA's.</summary>
    public string Certificate => In("identity.pem");

    /// <summary>Writes <see cref="Certificate"/>, whole or not at all.</summary>
    public void SaveCertificate(X509Certificate2 certificate, X509Certificate2 ca) => PrivateFile.Write(Certificate, $"{certificate.ExportCertificatePem()}\n{ca.ExportCertificatePem()}\n");

    public string Lock => In("lock");

    /// <summary>The privacy ledger, where node.yaml names no other file; its key <c>ledger.key</c> lies beside it.</summary>
    public string Ledger => In(LedgerName);

    /// <summary>What this node refused.</summary>
    public string Audit => In(Privacy.Ledger.AuditLog.FileName);

    /// <summary>Shares of keys and the record of answers, with its key file <c>secagg.key</c>. Neither is to be backed up: a restored record is found out, and its shares are erased.</summary>
    /// <exception cref="InvalidInputException">The files cannot be used.</exception>
    public CommitteeStore OpenCommitteeStore()
    {
        string path = In("secagg.db"), keyPath = In("secagg.key");
        try
        {
            if (!File.Exists(keyPath)) PrivateFile.Write(keyPath, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)));
            return new CommitteeStore(path, Convert.FromHexString(File.ReadAllText(keyPath).Trim()));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException or SqliteException)
        {
            throw new InvalidInputException(new Problem($"The store of key shares cannot be used: {error.Message}", path, Repair: "Remove secagg.db and secagg.key; the next key epoch gives this site a new share."));
        }
    }

    public string Blob(string sha256)
    {
        if (!Sha256Hex.IsValid(sha256)) throw new InvalidDataException($"The coordinator named the content '{sha256}', which is no SHA-256.");
        return System.IO.Path.Combine(Blobs, sha256);
    }

    /// <summary>What was fetched from the coordinator.</summary>
    public string Blobs => Folder("blobs");

    /// <summary>A run's own folder.</summary>
    public string Run(string runId) => Folder("runs", RequireRun(runId));

    /// <summary>Which run a signed submission is, by its hash: a file that stays when the run is over.</summary>
    public string Submission(string sha256) => System.IO.Path.Combine(Folder("submissions"), sha256);

    /// <summary>Where a round's update waits until the run has moved on.</summary>
    public string Updates(string runId) => Folder("updates", RequireRun(runId));

    /// <summary>Emptied files of updates that are over.</summary>
    internal SpareFiles Spare => _spare ??= new SpareFiles(In("spare"));

    /// <exception cref="InvalidInputException">Another node uses the folder.</exception>
    public FileStream TakeLock()
    {
        try
        {
            return new FileStream(Lock, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(new Problem($"The state folder is in use by another node, or not writable: {error.Message}", Path));
        }
    }

    /// <exception cref="InvalidDataException">It is no run's name.</exception>
    internal static string RequireRun(string runId) => runId.Length <= 63 && Names.IsSiteName(runId) ? runId : throw new InvalidDataException($"The coordinator named a run '{runId}', which is no run's name.");

    private string In(string name) => System.IO.Path.Combine(Path, name);

    private string Folder(params string[] parts)
    {
        string path = System.IO.Path.Combine([Path, .. parts]);
        PrivateFile.CreateFolder(path);
        return path;
    }
}
