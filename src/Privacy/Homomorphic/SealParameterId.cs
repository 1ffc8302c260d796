using System.Buffers.Binary;

namespace Federation.Privacy.Homomorphic;

/// <summary>SEAL's <c>parms_id</c>: the hash by which an object says for which parameters and which level it was made.</summary>
internal static class SealParameterId
{
    public const int Bytes = 32;

    /// <summary>SEAL's number of BFV among its schemes.</summary>
    public const byte Bfv = 1;

    public static byte[] Of(int degree, IEnumerable<ulong> primes, ulong plainModulus)
    {
        ulong[] words = [Bfv, (ulong)degree, .. primes, plainModulus];
        byte[] bytes = new byte[words.Length * sizeof(ulong)], id = new byte[Bytes];
        for (int i = 0; i < words.Length; i++) BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(sizeof(ulong) * i), words[i]);
        Blake2b.Hash(bytes, id);
        return id;
    }
}
