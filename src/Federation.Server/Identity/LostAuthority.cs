using System.Text.RegularExpressions;
using Federation.Formats;
using Federation.Privacy.Ledger;
using Federation.Protocol.Identity;

namespace Federation.Server.Identity;

/// <summary>A state folder that was a federation's and has no CA that can be used: a new one would be trusted by nobody, so the old one has to be put back.</summary>
internal static partial class LostAuthority
{
    /// <summary>What is left of a federation in the folder; null: nothing, it is new.</summary>
    public static string? TraceIn(CoordinatorFolder folder) => new[] { folder.Database, folder.Admin, folder.Audit }.FirstOrDefault(File.Exists);

    /// <summary>SHA-256 of the CA's key (SPKI), as the first line of the audit log has it, else the first admin's credential; null: neither says it.</summary>
    public static string? KeyOf(CoordinatorFolder folder) => KeyInLog(folder) ?? KeyInCredential(folder);

    /// <summary>What to do where the CA cannot be used.</summary>
    public static string Repair(CoordinatorFolder folder) =>
        $"Put it back from a copy, or restore a backup that was made with --include-ca into a new folder (`fed server restore`): sites and operators trust this CA alone{(KeyOf(folder) is { } key ? $", whose key has the SHA-256 {key} (SPKI)" : "")}.";

    /// <param name="repair">Where the folder is no federation's at all.</param>
    /// <exception cref="InvalidInputException">The CA's file is not there.</exception>
    public static void RequireCa(CoordinatorFolder folder, string repair)
    {
        if (File.Exists(folder.Ca)) return;
        throw new InvalidInputException(TraceIn(folder) is null ? new Problem("There is no federation in this folder.", folder.Path, Repair: repair) : new Problem("The federation's CA is missing.", folder.Ca, Repair: Repair(folder)));
    }

    /// <summary>Of the federation that the log says was made here; null: it does not say.</summary>
    public static string? KeyInLog(CoordinatorFolder folder)
    {
        try
        {
            return File.Exists(folder.Audit) && File.ReadLines(folder.Audit).FirstOrDefault() is { } line && AuditEntry.TryRead(line) is { Kind: AdministrativeLog.Made } made && Key().Match(made.What) is { Success: true } match ? match.Groups[1].Value : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string? KeyInCredential(CoordinatorFolder folder)
    {
        try
        {
            using Credential admin = Credential.Load(folder.Admin);
            return CertificateProfile.SpkiSha256(admin.CaCertificate);
        }
        catch (InvalidInputException)
        {
            return null;
        }
    }

    [GeneratedRegex(@", key ([0-9a-f]{64}),")]
    private static partial Regex Key();
}
