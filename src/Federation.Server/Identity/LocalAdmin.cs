using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Protocol.Identity;
using Federation.Server.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Server.Identity;

/// <summary><c>fed server admin</c>: another admin, made on the coordinator's machine by whoever can read the CA's key, when no admin's credential is left or valid. The coordinator is stopped meanwhile.</summary>
public static class LocalAdmin
{
    /// <summary>Writes a new admin's credential, valid as the first one was, and takes it down as an operator, with a line in the audit log.</summary>
    /// <param name="path">Where to; no file is there.</param>
    /// <returns>When it ends.</returns>
    /// <exception cref="InvalidInputException">The coordinator runs, a file or an operator of this name is there, or the CA cannot be used. Nothing was changed.</exception>
    /// <exception cref="IOException">A file cannot be written, or the database cannot be reached.</exception>
    public static DateTimeOffset Issue(ServerConfiguration configuration, string name, string path, TimeProvider time)
    {
        var folder = new CoordinatorFolder(configuration.State);
        LostAuthority.RequireCa(folder, "Name the coordinator's state folder with --state.");
        if (Path.Exists(path)) throw new InvalidInputException(new Problem("There is a file already; it is not overwritten.", path, Repair: "Move it away, or name another one with --output."));
        using FileStream stateLock = Coordinator.TakeLock(folder);
        using CertificateAuthority ca = CertificateAuthority.Load(folder.Ca);
        DateTimeOffset now = time.GetUtcNow();
        if (now >= ca.Certificate.NotAfter.ToUniversalTime()) throw new InvalidInputException(new Problem(FormattableString.Invariant($"The federation's CA ended at {ca.Certificate.NotAfter.ToUniversalTime():u}; it is {now:u} now."), folder.Ca, Repair: "Compare this machine's clock. If it is right, have the CA's certificate renewed with the same key, and put it there."));
        using ICoordinatorStore store = Coordinator.OpenStore(configuration, folder, ca, NullLogger.Instance, time);
        using AdministrativeLog acts = AdministrativeLog.Open(folder.Audit, time, NullLogger.Instance);
        acts.KeepHead(store);
        using Credential admin = ca.Issue(name, CertificateRole.Admin, now);
        DateTimeOffset ends = admin.Certificate.NotAfter.ToUniversalTime();
        string key = CertificateProfile.SpkiSha256(admin.Certificate);
        admin.Save(path); // first: an operator without a credential would hold its name
        bool isKept = false;
        try
        {
            isKept = store.AddOperator(new OperatorRecord(name, OperatorRole.Admin, IsToken: false, key, now, ends), now);
            if (!isKept) throw new InvalidInputException(new Problem($"There is an operator '{name}' already, whose credential is valid.", Field: "name", Repair: $"Choose another name; with its credential, `fed operator revoke {name}` ends what the lost one may do."));
        }
        finally
        {
            if (!isKept) File.Delete(path);
        }

        acts.Record(AdministrativeLog.Issued, $"{Environment.UserName} (on this machine)", $"issued the operator '{name}' (admin, by certificate, key {key}), until {ends:u}.");
        return ends;
    }
}
