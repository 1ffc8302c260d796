using System.Numerics;

namespace Federation.Privacy.Homomorphic;

/// <summary>Sums and multiples of ciphertexts: residues only, no secret and no randomness, so one piece of code serves whichever engine holds the keys.</summary>
internal static class CiphertextSums
{
    public static Ciphertext Add(BfvParameters parameters, Ciphertext a, Ciphertext b)
    {
        parameters.OneLevel([a, b]);
        ulong[] words = GC.AllocateUninitializedArray<ulong>(a.Words.Length);
        a.Ring.Add(a.First, b.First, words.AsSpan(0, a.Ring.Words));
        a.Ring.Add(a.Second, b.Second, words.AsSpan(a.Ring.Words));
        return new(parameters, a.Ring, words);
    }

    public static Ciphertext AddMany(BfvParameters parameters, IReadOnlyList<Ciphertext> ciphertexts)
    {
        parameters.OneLevel(ciphertexts);
        Ciphertext head = ciphertexts[0];
        ulong[] words = head.Words.ToArray();
        for (int i = 1; i < ciphertexts.Count; i++)
        {
            head.Ring.Add(words.AsSpan(0, head.Ring.Words), ciphertexts[i].First);
            head.Ring.Add(words.AsSpan(head.Ring.Words), ciphertexts[i].Second);
        }

        return new(parameters, head.Ring, words);
    }

    public static Ciphertext Subtract(BfvParameters parameters, Ciphertext a, Ciphertext b)
    {
        parameters.OneLevel([a, b]);
        ulong[] words = GC.AllocateUninitializedArray<ulong>(a.Words.Length);
        a.Ring.Subtract(a.First, b.First, words.AsSpan(0, a.Ring.Words));
        a.Ring.Subtract(a.Second, b.Second, words.AsSpan(a.Ring.Words));
        return new(parameters, a.Ring, words);
    }

    public static Ciphertext Multiply(BfvParameters parameters, Ciphertext ciphertext, ulong factor)
    {
        RnsRing ring = parameters.Own(ciphertext).Ring;
        ulong t = parameters.PlainModulus.Value;
        factor %= t;
        // The smaller of factor and factor − t: it is what the noise is multiplied by.
        ulong[] factors = ring.Residues(factor > t / 2 ? (BigInteger)factor - t : factor);
        ulong[] words = ciphertext.Words.ToArray();
        ring.Scale(words.AsSpan(0, ring.Words), factors);
        ring.Scale(words.AsSpan(ring.Words), factors);
        return new(parameters, ciphertext.Ring, words);
    }
}
