using System.Text.Json;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.Ledger;

/// <summary>All ledgers that were ever opened in a file, signed: a data set's ledger that is deleted or renamed as a whole is missed, and not made anew with its budget unspent.</summary>
/// <param name="Ledgers">A JSON object, data set → ledger id.</param>
/// <param name="PublicKey">SubjectPublicKeyInfo, DER; the key of all ledgers here.</param>
internal sealed record LedgerDirectory(string Ledgers, byte[] PublicKey, byte[] Signature)
{
    public static LedgerDirectory Sign(IReadOnlyDictionary<string, string> ledgers, LedgerKey key)
    {
        string json = JsonSerializer.Serialize(new SortedDictionary<string, string>(ledgers.ToDictionary(), StringComparer.Ordinal));
        return new LedgerDirectory(json, key.PublicKey, key.Sign(Digest(json)));
    }

    /// <summary>Data set → ledger id.</summary>
    /// <exception cref="LedgerException">It is not signed by the key in it.</exception>
    public IReadOnlyDictionary<string, string> Read()
    {
        if (!LedgerKey.Verify(PublicKey, Digest(Ledgers), Signature)) throw new LedgerException(LedgerFault.Broken, "The list of the file's ledgers is not signed by its key: somebody altered it.");
        return JsonSerializer.Deserialize<Dictionary<string, string>>(Ledgers)!;
    }

    private static byte[] Digest(string json) => new CanonicalWriter("ledger/directory").Field(json).Hash();
}
