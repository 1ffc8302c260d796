using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Federation.Privacy.Ledger;

/// <summary>The key that signs a ledger: ECDSA P-256, PKCS#8 in PEM, mode 0600, beside the ledger as <c>ledger.key</c>. It signs nothing else.</summary>
internal sealed class LedgerKey : IDisposable
{
    private readonly ECDsa _key;

    private LedgerKey(ECDsa key) => (_key, PublicKey) = (key, key.ExportSubjectPublicKeyInfo());

    /// <summary>SubjectPublicKeyInfo, DER.</summary>
    public byte[] PublicKey { get; }

    public static string PathFor(string ledger) => Path.ChangeExtension(ledger, ".key");

    /// <exception cref="LedgerException">It is missing, readable by others, or no P-256 key.</exception>
    public static LedgerKey Load(string path)
    {
        try
        {
            if (!File.Exists(path)) throw new LedgerException(LedgerFault.Key, $"The ledger's key {path} is missing; without it the ledger can be read, not continued.");
            if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & ~(UnixFileMode.UserRead | UnixFileMode.UserWrite)) != 0) throw new LedgerException(LedgerFault.Key, $"The ledger's key {path} is open to others; mode 0600 is right: chmod 600 {path}");
            var key = ECDsa.Create();
            try
            {
                key.ImportFromPem(File.ReadAllText(path));
                if (!IsP256(key)) throw new CryptographicException("not on P-256");
                return new LedgerKey(key);
            }
            catch (Exception error) when (error is ArgumentException or CryptographicException or PlatformNotSupportedException)
            {
                key.Dispose();
                throw new LedgerException(LedgerFault.Key, $"{path} holds no ECDSA P-256 private key: {error.Message}", error);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new LedgerException(LedgerFault.Key, $"The ledger's key cannot be read: {error.Message}", error);
        }
    }

    /// <summary>A key that has signed nothing yet, in place of one that never did.</summary>
    /// <exception cref="LedgerException">It cannot be written.</exception>
    public static LedgerKey Create(string path)
    {
        try
        {
            File.Delete(path);
            using (var key = ECDsa.Create(ECCurve.NamedCurves.nistP256))
            {
                var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
                if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
                using var file = new FileStream(path, options);
                using (var writer = new StreamWriter(file, leaveOpen: true)) writer.Write(key.ExportPkcs8PrivateKeyPem());
                file.Flush(flushToDisk: true);
            }

            return Load(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new LedgerException(LedgerFault.Key, $"The ledger's key cannot be written: {error.Message}", error);
        }
    }

    /// <summary>Gives a pending key its name, now that it has signed. Another process may have done so.</summary>
    /// <exception cref="LedgerException">It cannot be renamed.</exception>
    public static void Adopt(string pending, string path)
    {
        try
        {
            if (File.Exists(pending) && !File.Exists(path)) File.Move(pending, path, overwrite: false);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            if (!File.Exists(path)) throw new LedgerException(LedgerFault.Key, $"The ledger's key cannot be written: {error.Message}", error);
        }
    }

    /// <summary>IEEE P1363, 64 bytes.</summary>
    public byte[] Sign(byte[] hash) => _key.SignHash(hash);

    /// <summary>False too where the public key is none.</summary>
    public static bool Verify(byte[] publicKey, byte[] hash, byte[] signature)
    {
        using ECDsa? key = Import(publicKey);
        return key is not null && Verify(key, hash, signature);
    }

    /// <summary>The places whose signature is not this key's; all of them where the public key is none.</summary>
    public static IReadOnlyCollection<long> Unsigned(byte[] publicKey, IReadOnlyList<StoredRecord> records)
    {
        if (records.Count == 0) return [];
        ConcurrentBag<long> unsigned = [];
        Parallel.ForEach(
            Partitioner.Create(0, records.Count, 256),
            () => Import(publicKey),
            (range, _, key) =>
            {
                for (int i = range.Item1; i < range.Item2; i++)
                {
                    if (key is null || !Verify(key, StoredRecord.Digest(records[i].Content), records[i].Signature)) unsigned.Add(records[i].Place);
                }

                return key;
            },
            key => key?.Dispose());
        return unsigned;
    }

    private static bool Verify(ECDsa key, byte[] hash, byte[] signature)
    {
        try
        {
            return key.VerifyHash(hash, signature);
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    private static ECDsa? Import(byte[] publicKey)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportSubjectPublicKeyInfo(publicKey, out int read);
            if (read == publicKey.Length && IsP256(key)) return key;
        }
        catch (Exception error) when (error is CryptographicException or PlatformNotSupportedException or ArgumentException)
        {
            // no key of this kind, or on a curve that nobody here knows
        }

        key.Dispose();
        return null;
    }

    private static bool IsP256(ECDsa key) => key.ExportParameters(false).Curve is { IsNamed: true, Oid.Value: var oid } && oid == ECCurve.NamedCurves.nistP256.Oid.Value;

    public void Dispose() => _key.Dispose();
}
