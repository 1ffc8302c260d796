using System.Numerics;
using CsCheck;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic;

public sealed class BatchEncoderTests
{
    public static TheoryData<string> Sets => [.. BfvSets.All.Where(set => set.Value.PlainModulus.IsPrime() && set.Value.PlainModulus.Value % (2 * (ulong)set.Value.Degree) == 1).Select(set => set.Key)];

    [Theory]
    [MemberData(nameof(Sets))]
    public void Decode_SumsOfCiphertexts_AreSumsOfSlots(string set)
    {
        BfvParameters parameters = BfvSets.All[set];
        ulong t = parameters.PlainModulus.Value;
        BatchEncoder encoder = new(parameters);
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        Gen.ULong[0, t - 1].Array[parameters.Degree].Array[3].Sample(rows =>
        {
            Ciphertext sum = engine.AddMany([.. rows.Select(row =>
            {
                using Plaintext plain = encoder.Encode(row);
                return engine.Encrypt(plain, publicKey);
            })]);
            using Plaintext opened = engine.Decrypt(sum, key);
            Assert.Equal(Enumerable.Range(0, parameters.Degree).Select(i => (ulong)(((BigInteger)rows[0][i] + rows[1][i] + rows[2][i]) % t)), encoder.Decode(opened));
            using Plaintext tripled = engine.Decrypt(engine.Multiply(sum, 3), key);
            if (engine.NoiseBudget(engine.Multiply(sum, 3), key) > 0) Assert.Equal(Enumerable.Range(0, parameters.Degree).Select(i => (ulong)(3 * ((BigInteger)rows[0][i] + rows[1][i] + rows[2][i]) % t)), encoder.Decode(tripled));
        }, iter: 2, threads: 1);
    }

    [Fact] // the definition: slot i of the first row is p(ψ^(3^i)), of the second p(ψ^(−3^i))
    public void Encode_Slots_AreValuesAtThePowersOfThree()
    {
        BfvParameters parameters = BfvParameters.Default(4096, 1032193);
        Modulus t = parameters.PlainModulus;
        ulong[] values = [.. Enumerable.Range(0, 4096).Select(i => (ulong)(i * 77777L % 1032193))];
        using Plaintext plain = new BatchEncoder(parameters).Encode(values);
        ulong root = t.SmallestPrimitiveRoot(8192);
        foreach (int i in (int[])[0, 1, 2, 100, 2047])
        {
            ulong exponent = (ulong)BigInteger.ModPow(3, i, 8192);
            Assert.Equal(values[i], At(t.Power(root, exponent)));
            Assert.Equal(values[2048 + i], At(t.Power(root, 8192 - exponent)));
        }

        ulong At(ulong point)
        {
            ulong sum = 0;
            for (int k = 4095; k >= 0; k--) sum = t.Add(t.Multiply(sum, point), plain.Coefficients[k]);
            return sum;
        }
    }

    [Fact]
    public void Encode_FewerValues_LeavesZeros()
    {
        BfvParameters parameters = BfvParameters.Default(4096, 1032193);
        BatchEncoder encoder = new(parameters);
        using Plaintext plain = encoder.Encode([5, 1032192]);
        ulong[] back = encoder.Decode(plain);
        Assert.Equal([5UL, 1032192UL], back[..2]);
        Assert.Equal(-1, back.AsSpan(2).IndexOfAnyExcept(0UL));
        Assert.Throws<ArgumentException>(() => encoder.Encode(new ulong[4097]));
        Assert.Throws<ArgumentException>(() => encoder.Encode([1032193]));
    }

    [Theory]
    [InlineData(1UL << 40)] // even
    [InlineData(65537UL * 3)]
    [InlineData(12289UL)] // prime, not 1 modulo 8192
    [InlineData(8192UL * 6 + 1)] // 1 modulo 8192, not prime
    public void Encoder_AModulusWithoutSlots_IsRefused(ulong t) => Assert.Throws<ArgumentException>(() => new BatchEncoder(BfvParameters.Default(4096, t)));

    [Fact] // issue 5: a plaintext of other parameters was decoded as if it were ours
    public void Decode_AForeignPlaintext_IsRefused()
    {
        BatchEncoder encoder = new(BfvParameters.Default(8192, 1032193));
        using Plaintext shorter = new(BfvParameters.Default(4096, 1032193), [1]), otherModulus = new(BfvParameters.Default(8192, 65537), [1]);
        Assert.Throws<ArgumentException>(() => encoder.Decode(shorter));
        Assert.Throws<ArgumentException>(() => encoder.Decode(otherModulus));
    }
}
