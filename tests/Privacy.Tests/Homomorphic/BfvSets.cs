using System.Security.Cryptography;
using System.Runtime.InteropServices;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic;

internal static class BfvSets
{
    public static Dictionary<string, BfvParameters> All { get; } = new()
    {
        ["1024, one prime"] = new(1024, [0x7e00001], 16),
        ["2048, one prime of 54 bits, t = 2^20"] = new(2048, [RingInputs.Prime(54, 2048)], 1 << 20),
        ["2048, two primes, t = 257"] = new(2048, [RingInputs.Prime(27, 2048), RingInputs.Prime(27, 2048, 1)], 257),
        ["4096 default, t = 1032193"] = BfvParameters.Default(4096, 1032193),
        ["4096 default, t = 2"] = BfvParameters.Default(4096, 2),
        ["4096, 60 and 49 bits, t odd and composite"] = new(4096, [RingInputs.Prime(60, 4096), RingInputs.Prime(49, 4096)], 1_000_000_005),
        ["8192 default, t = 2^40"] = BfvParameters.Default(8192, 1UL << 40),
        ["8192 default, t prime of 60 bits, slots"] = BfvParameters.Default(8192, RingInputs.Prime(60, 8192)),
        ["8192, three primes of 60 bits, t = 65537"] = new(8192, [RingInputs.Prime(60, 8192), RingInputs.Prime(60, 8192, 1), RingInputs.Prime(60, 8192, 2)], 65537),
        ["8192, a special prime smaller than the others"] = new(8192, [RingInputs.Prime(50, 8192), RingInputs.Prime(60, 8192), RingInputs.Prime(30, 8192)], 786433),
        ["key ring"] = BfvParameters.ForKeys,
        ["16384 default, t = 2^59 + 1"] = BfvParameters.Default(16384, (1UL << 59) + 1),
        ["16384, 60 and 44 bits in turn, t = 2^50"] = new(16384, [RingInputs.Prime(60, 16384), RingInputs.Prime(44, 16384), RingInputs.Prime(60, 16384, 1), RingInputs.Prime(44, 16384, 1)], 1UL << 50),
    };

    /// <summary>Any coefficients.</summary>
    public static Plaintext Any(BfvParameters parameters)
    {
        ulong[] words = new ulong[parameters.Degree];
        RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(words.AsSpan()));
        foreach (ref ulong word in words.AsSpan()) word %= parameters.PlainModulus.Value;
        return new(parameters, words);
    }

    /// <summary>Divided by the last prime: the same message one level down.</summary>
    public static Ciphertext Lower(Ciphertext ciphertext)
    {
        RnsRing less = ciphertext.Ring.First(ciphertext.Primes - 1);
        ulong[] first = ciphertext.First.ToArray(), second = ciphertext.Second.ToArray();
        ciphertext.Ring.DivideByLast(first);
        ciphertext.Ring.DivideByLast(second);
        return new(ciphertext.Parameters, less.Moduli.Count, [.. first[..less.Words], .. second[..less.Words]]);
    }
}
