using System.Buffers.Binary;
using System.Security.Cryptography;
using Federation.Privacy.Accounting;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.Ledger;

/// <summary>
/// What a ledger's owner shows of it: how long it is, the hash of its last record, and the Rényi divergences of all that it has reserved, signed. Travels with every upload.
/// Whoever keeps one can tell later whether the ledger was cut back, and what the lost records had reserved: divergences add up, so the difference is their cost.
/// </summary>
/// <param name="LedgerId">Hash of record 0, lower-case hex.</param>
/// <param name="DataSet">The data set that it belongs to.</param>
/// <param name="Count">One more than the last record's number.</param>
/// <param name="Hash">Of the last record, lower-case hex.</param>
/// <param name="Divergences">At <see cref="RdpAccountant.DefaultOrders"/>, in [0, ∞].</param>
/// <param name="StatisticalDistance">Of all noise together from the exact one.</param>
/// <param name="PublicKey">SubjectPublicKeyInfo, DER.</param>
/// <param name="Signature">ECDSA P-256 in IEEE P1363 form over the canonical bytes of the other fields.</param>
public sealed record LedgerHead(string LedgerId, string DataSet, long Count, string Hash, IReadOnlyList<double> Divergences, double StatisticalDistance, byte[] PublicKey, byte[] Signature)
{
    /// <summary>Whether the fields are in range and the signature is the public key's.</summary>
    public bool IsAuthentic() => IsWellFormed() && LedgerKey.Verify(PublicKey, Digest(LedgerId, DataSet, Count, Hash, Divergences, StatisticalDistance), Signature);

    /// <summary>ε of everything reserved, by the RDP accountant.</summary>
    /// <param name="delta">In (0, 1).</param>
    public double Epsilon(double delta) => new Spending([.. Divergences], StatisticalDistance).EpsilonByRdp(delta);

    private bool IsWellFormed() => Sha256Hex.IsValid(LedgerId) && Sha256Hex.IsValid(Hash) && DataSet.Length is > 0 and <= 200 && Count is > 0 and <= LedgerChain.MostRecords && Signature.Length == 64
        && Divergences.Count == RdpAccountant.DefaultOrders.Count && Divergences.All(value => value is >= 0) && StatisticalDistance is >= 0 and <= 1;

    internal static byte[] Digest(string ledgerId, string dataSet, long count, string hash, IReadOnlyList<double> divergences, double distance)
    {
        return new CanonicalWriter("ledger/head").Field(ledgerId).Field(dataSet).Field((ulong)count).Field(hash).Field(Bytes(divergences)).Field(BitConverter.DoubleToUInt64Bits(distance)).Hash();
    }

    /// <summary>Little-endian, as they are signed and stored.</summary>
    internal static byte[] Bytes(IReadOnlyList<double> values)
    {
        byte[] bytes = new byte[8 * values.Count];
        for (int i = 0; i < values.Count; i++) BinaryPrimitives.WriteDoubleLittleEndian(bytes.AsSpan(8 * i), values[i]);
        return bytes;
    }

    internal static double[] Doubles(byte[] bytes) => [.. bytes.Chunk(8).Where(chunk => chunk.Length == 8).Select(chunk => BinaryPrimitives.ReadDoubleLittleEndian(chunk))];
}
