using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Federation.Formats;

namespace Federation.Protocol.Identity;

/// <summary>A party's certificate with its private key, and the CA that issued it. One PEM file: certificate, key (PKCS#8), CA certificate.</summary>
public sealed class Credential : IDisposable
{
    private Credential(X509Certificate2 certificate, X509Certificate2 ca) => (Certificate, CaCertificate) = (certificate, ca);

    /// <summary>With its private key.</summary>
    public X509Certificate2 Certificate { get; }

    public X509Certificate2 CaCertificate { get; }

    /// <summary>The subject's CN.</summary>
    public string Name => CertificateProfile.NameOf(Certificate) ?? "";

    /// <summary>Joins a certificate and its key; the caller keeps the key.</summary>
    /// <exception cref="ArgumentException">The key does not belong to the certificate.</exception>
    public static Credential Of(X509Certificate2 certificate, ECDsa key, X509Certificate2 ca) => new(certificate.CopyWithPrivateKey(key), ca);

    /// <summary>Reads certificate, key and CA certificate from one PEM file or from two (key apart).</summary>
    /// <exception cref="InvalidInputException">A file is missing, unreadable, or no such credential.</exception>
    public static Credential Load(string pemPath, string? keyPath = null)
    {
        try
        {
            string pem = File.ReadAllText(pemPath);
            string keyPem = keyPath is null ? pem : File.ReadAllText(keyPath);
            var certificates = new X509Certificate2Collection();
            certificates.ImportFromPem(pem);
            if (certificates.Count != 2) throw new InvalidInputException(new Problem($"holds {certificates.Count} certificates; the party's own and the CA's are right.", pemPath));
            using var key = ECDsa.Create();
            key.ImportFromPem(keyPem);
            return new Credential(certificates[0].CopyWithPrivateKey(key), certificates[1]);
        }
        catch (Exception error) when (error is CryptographicException or ArgumentException)
        {
            throw new InvalidInputException(new Problem($"holds no usable certificate and key: {error.Message}", pemPath));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(new Problem($"cannot be read: {error.Message}", pemPath, Repair: "Name the folder that `fed server init` or `fed node enroll` wrote."));
        }
    }

    /// <summary>Writes all three into one file that only its owner can read.</summary>
    public void Save(string pemPath)
    {
        using ECDsa key = Certificate.GetECDsaPrivateKey() ?? throw new InvalidOperationException("The credential has no ECDSA key.");
        PrivateFile.Write(pemPath, $"{Certificate.ExportCertificatePem()}\n{key.ExportPkcs8PrivateKeyPem()}\n{CaCertificate.ExportCertificatePem()}\n");
    }

    public void Dispose()
    {
        Certificate.Dispose();
        CaCertificate.Dispose();
    }
}

/// <summary>Files and folders that only their owner can read.</summary>
public static class PrivateFile
{
    /// <summary>Writes a file of mode 0600, whole or not at all: a new file takes the old one's place.</summary>
    public static void Write(string path, string content)
    {
        string fresh = path + ".new";
        File.Delete(fresh);
        using (FileStream file = Create(fresh))
        {
            file.Write(Encoding.UTF8.GetBytes(content));
            file.Flush(flushToDisk: true);
        }

        File.Move(fresh, path, overwrite: true);
    }

    /// <summary>A new file of mode 0600, to be written and read.</summary>
    /// <exception cref="IOException">There is one of this name.</exception>
    public static FileStream Create(string path, FileOptions more = FileOptions.None)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, Options = more };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
    }

    /// <summary>Makes a folder of mode 0700 where there is none.</summary>
    public static void CreateFolder(string path)
    {
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(path);
        else Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
