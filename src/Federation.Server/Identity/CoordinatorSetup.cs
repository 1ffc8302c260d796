using Federation.Formats;
using Federation.Protocol.Identity;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Server.Identity;

/// <summary>Names within the coordinator's state folder.</summary>
public sealed record CoordinatorFolder(string Path)
{
    public string Ca => System.IO.Path.Combine(Path, "ca", "ca.pem");

    /// <summary>The operator's credential.</summary>
    public string Admin => System.IO.Path.Combine(Path, "ca", "admin.pem");

    public string Database => System.IO.Path.Combine(Path, "state.db");

    public string Blobs => System.IO.Path.Combine(Path, "blobs");

    public string Spool => System.IO.Path.Combine(Path, "spool");

    /// <summary>What the strategies of runs keep from round to round.</summary>
    public string Strategies => System.IO.Path.Combine(Path, "strategies");

    /// <summary>What administrators did.</summary>
    public string Audit => System.IO.Path.Combine(Path, Privacy.Ledger.AuditLog.FileName);

    public string Lock => System.IO.Path.Combine(Path, "lock");
}

/// <summary><c>fed server init</c>.</summary>
public static class CoordinatorSetup
{
    /// <summary>Makes a CA, or takes an organisation's, and one admin credential; folders 0700, files 0600.</summary>
    /// <param name="own">Certificate and key of the organisation's CA, as <see cref="OwnAuthority.Load"/> takes them; null: one is made.</param>
    /// <exception cref="InvalidInputException">There is a CA already, or there was one, the organisation's cannot be used, or the folder cannot be written.</exception>
    public static void Initialize(string state, TimeProvider? time = null, (string Certificate, string Key)? own = null)
    {
        var folder = new CoordinatorFolder(state);
        if (File.Exists(folder.Ca)) throw new InvalidInputException(new Problem("There is a federation in this folder already.", folder.Ca, Repair: "Its CA is kept; name another --state for a new federation."));
        if (LostAuthority.TraceIn(folder) is { } trace)
        {
            throw new InvalidInputException(new Problem($"There was a federation in this folder ('{Path.GetRelativePath(state, trace)}' is there), and its CA is missing; a new one would lock out every site and operator.", folder.Ca, Repair: $"{LostAuthority.Repair(folder)} For a new federation name another --state."));
        }

        DateTimeOffset now = (time ?? TimeProvider.System).GetUtcNow();
        using CertificateAuthority ca = own is var (certificate, key) ? OwnAuthority.Load(certificate, key, now) : CertificateAuthority.Create(now);
        try
        {
            PrivateFile.CreateFolder(state);
            MakePrivate(state); // it may have been there, open to others
            PrivateFile.CreateFolder(Path.GetDirectoryName(folder.Ca)!);
            using Credential admin = ca.Issue("admin", CertificateRole.Admin, now);
            admin.Save(folder.Admin);
            using (var acts = AdministrativeLog.Open(folder.Audit, time ?? TimeProvider.System, NullLogger.Instance))
            {
                acts.Record(AdministrativeLog.Made, $"{Environment.UserName} (on this machine)", $"made the federation with {(own is null ? "a CA of its own" : "an organisation's CA")}, key {ca.SpkiSha256}, and the operator '{OperatorAccess.FirstAdmin}' (admin).");
            }

            ca.Save(folder.Ca); // last: with it the folder counts as initialised
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidInputException)
        {
            foreach (string begun in new[] { folder.Admin, folder.Audit }.Where(File.Exists)) File.Delete(begun); // else the next try takes the folder for one whose CA is lost
            if (error is InvalidInputException) throw;
            throw new InvalidInputException(new Problem($"The state folder cannot be written: {error.Message}", state));
        }
    }

    /// <summary>Nobody but its owner can read what is in the folder.</summary>
    internal static void MakePrivate(string folder)
    {
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
