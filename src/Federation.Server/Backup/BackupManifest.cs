using System.Text.RegularExpressions;
using Federation.Server.Storage;

namespace Federation.Server.Backup;

/// <summary>What a backup holds; the last entry of its archive, so an archive without it was cut short.</summary>
/// <param name="SchemaVersion">Of the database.</param>
/// <param name="Federation">SHA-256 of the CA's key (SPKI).</param>
/// <param name="HoldsCa">With the CA's key and the first admin's, both under a passphrase.</param>
public sealed partial record BackupManifest(int Format, int SchemaVersion, DateTimeOffset Created, string Federation, bool HoldsCa, IReadOnlyList<BackupFile> Files)
{
    public const int CurrentFormat = 1;

    internal const string Name = "manifest.json", Database = "database", Audit = "audit.jsonl", Ca = "ca/ca.pem", Admin = "ca/admin.pem", Blobs = "blobs/", Strategies = "strategies/";

    internal static int NewestSchema => StoreSchema.Steps.Count;

    /// <summary>Whether an entry may have this name: nothing else is ever written, so none can lead out of the folder.</summary>
    internal static bool IsName(string name) => name is Name or Database or Audit or Ca or Admin || Blob().IsMatch(name) || Strategy().IsMatch(name);

    [GeneratedRegex(@"\Ablobs/[0-9a-f]{64}\z")]
    private static partial Regex Blob();

    [GeneratedRegex(@"\Astrategies/[0-9a-f]{1,64}/[0-9]{1,9}\z")]
    private static partial Regex Strategy();
}

/// <param name="Sha256">Lower-case hex.</param>
public sealed record BackupFile(string Name, long Size, string Sha256);
