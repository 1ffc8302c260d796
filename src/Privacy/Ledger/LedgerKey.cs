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
                if (key.ExportParameters(false).Curve.Oid.Value != ECCurve.NamedCurves.nistP256.Oid.Value) throw new CryptographicException("not on P-256");
                return new LedgerKey(key);
            }
            catch (Exception error) when (error is ArgumentException or CryptographicException)
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

    /// <exception cref="LedgerException">There is one already, or it cannot be written.</exception>
    public static LedgerKey Create(string path)
    {
        try
        {
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

    /// <summary>IEEE P1363, 64 bytes.</summary>
    public byte[] Sign(byte[] hash) => _key.SignHash(hash);

    /// <summary>False too where the public key is none.</summary>
    public static bool Verify(byte[] publicKey, byte[] hash, byte[] signature)
    {
        using var key = ECDsa.Create();
        try
        {
            key.ImportSubjectPublicKeyInfo(publicKey, out int read);
            return read == publicKey.Length && key.KeySize == 256 && key.VerifyHash(hash, signature);
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    public void Dispose() => _key.Dispose();
}
