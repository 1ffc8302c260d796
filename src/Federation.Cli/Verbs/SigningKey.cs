using System.Security.Cryptography;
using Federation.Formats;
using Federation.Privacy.SecureAggregation;

namespace Federation.Cli.Verbs;

/// <summary>The key that a run is signed with: on P-256, in a PEM file, which may hold certificates too.</summary>
internal static class SigningKey
{
    private const string Make = "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one; the file of an operator's certificate holds one, too.";

    /// <exception cref="InvalidInputException">The file holds no private key on P-256, or it is encrypted.</exception>
    public static ECDsa Load(string path)
    {
        string pem = TextFile.Read(path);
        ECDsa key = ECDsa.Create();
        try
        {
            key.ImportFromPem(pem);
            if (!P256Key.HasForm(key.ExportSubjectPublicKeyInfo())) throw new InvalidInputException(new Problem("The key is not on the curve P-256.", path, Repair: Make));
            CryptographicOperations.ZeroMemory(key.ExportParameters(includePrivateParameters: true).D);
            return key;
        }
        catch (Exception error) when (error is CryptographicException or ArgumentException)
        {
            key.Dispose();
            throw new InvalidInputException(new Problem(
                pem.Contains("ENCRYPTED PRIVATE KEY", StringComparison.Ordinal) ? "The key is encrypted, which is not supported." : $"The file holds no private key on P-256: {error.Message}", path, Repair: Make));
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }
}
