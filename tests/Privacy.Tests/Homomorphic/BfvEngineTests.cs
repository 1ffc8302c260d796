using System.Numerics;
using CsCheck;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic;

/// <summary>What every engine owes; runs against the engine that was compiled in.</summary>
public sealed class BfvEngineTests
{
    public static TheoryData<string> Sets => [.. BfvSets.All.Keys];

    [Theory]
    [MemberData(nameof(Sets))]
    public void Decrypt_SumsAndDifferences_AreExactModuloT(string set)
    {
        BfvParameters parameters = BfvSets.All[set];
        ulong t = parameters.PlainModulus.Value;
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        Gen.Select(Gen.ULong[0, t - 1].Array[parameters.Degree], Gen.ULong[0, t - 1].Array[parameters.Degree], Gen.ULong[0, Math.Min(t - 1, 100)]).Sample((a, b, factor) =>
        {
            a[0] = b[0] = t - 1;
            Ciphertext x = engine.Encrypt(new Plaintext(parameters, a), publicKey), y = engine.EncryptSymmetric(new Plaintext(parameters, b), key);
            Assert.True(engine.NoiseBudget(x, key) > 0);
            Expect(engine.Add(x, y), i => ((BigInteger)a[i] + b[i]) % t);
            Expect(engine.Subtract(x, y), i => ((BigInteger)a[i] + t - b[i]) % t);
            Expect(engine.AddMany([x, y, x]), i => ((2 * (BigInteger)a[i]) + b[i]) % t);
            Ciphertext scaled = engine.Multiply(x, factor);
            if (engine.NoiseBudget(scaled, key) > 0) Expect(scaled, i => (BigInteger)a[i] * factor % t);

            void Expect(Ciphertext actual, Func<int, BigInteger> expected)
            {
                using Plaintext plain = engine.Decrypt(actual, key);
                for (int i = 0; i < parameters.Degree; i++) Assert.Equal((ulong)expected(i), plain.Coefficients[i]);
            }
        }, iter: 2, threads: 1);
    }
}

internal static class BfvSets
{
    public static Dictionary<string, BfvParameters> All { get; } = new()
    {
        ["4096 default, t = 1032193"] = BfvParameters.Default(4096, 1032193),
        ["8192 default, t = 2^40"] = BfvParameters.Default(8192, 1UL << 40),
        ["16384 default, t = 2^59 + 1"] = BfvParameters.Default(16384, (1UL << 59) + 1),
        ["key ring"] = BfvParameters.ForKeys,
        ["1024, one prime"] = new(1024, [0x7e00001], 16),
    };
}
