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
        Gen.Select(Gen.ULong[0, t - 1].Array[parameters.Degree], Gen.ULong[0, t - 1].Array[parameters.Degree], Gen.ULong[1, Math.Min(t - 1, 100)]).Sample((a, b, factor) =>
        {
            a[0] = b[0] = t - 1;
            Ciphertext x = engine.Encrypt(new Plaintext(parameters, a), publicKey), y = engine.EncryptSymmetric(new Plaintext(parameters, b), key);
            Assert.True(engine.NoiseBudget(x, key) > 0);
            Expect(x, i => a[i]);
            Expect(y, i => b[i]);
            Expect(engine.Add(x, y), i => ((BigInteger)a[i] + b[i]) % t);
            Expect(engine.Subtract(x, y), i => ((BigInteger)a[i] + t - b[i]) % t);
            Expect(engine.Subtract(y, x), i => ((BigInteger)b[i] + t - a[i]) % t);
            Expect(engine.AddMany([x]), i => a[i]);
            Expect(engine.AddMany([x, engine.Subtract(y, x), engine.Subtract(x, y), y]), i => ((BigInteger)a[i] + b[i]) % t); // zero on the way
            Expect(engine.AddMany([x, y, x]), i => ((2 * (BigInteger)a[i]) + b[i]) % t);
            foreach (ulong multiplier in (ulong[])[factor, t - 1, t - factor, t + 1])
            {
                Ciphertext scaled = engine.Multiply(x, multiplier);
                if (engine.NoiseBudget(scaled, key) > 0) Expect(scaled, i => (BigInteger)a[i] * multiplier % t);
            }

            Assert.True(engine.NoiseBudget(engine.Multiply(x, t - 1), key) >= engine.NoiseBudget(x, key) - 1); // as −1, not as t − 1
            Expect(engine.Multiply(x, t), _ => 0);

            void Expect(Ciphertext actual, Func<int, BigInteger> expected)
            {
                using Plaintext plain = engine.Decrypt(actual, key);
                for (int i = 0; i < parameters.Degree; i++) Assert.Equal((ulong)expected(i), plain.Coefficients[i]);
            }
        }, iter: 2, threads: 1);
    }

    [Theory] // the first two: what SEAL itself shows for these sets
    [InlineData("8192 default, t = 2^40", 125, 127)]
    [InlineData("key ring", 81, 84)]
    [InlineData("4096 default, t = 1032193", 39, 46)]
    [InlineData("1024, one prime", 1, 14)]
    public void NoiseBudget_Fresh_IsInSealsRange(string set, int least, int most)
    {
        BfvParameters parameters = BfvSets.All[set];
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        using Plaintext plain = BfvSets.Any(parameters);
        int budget = engine.NoiseBudget(engine.Encrypt(plain, publicKey), key);
        Assert.InRange(budget, least, most);
        Assert.InRange(engine.NoiseBudget(engine.EncryptSymmetric(plain, key), key), budget - 1, budget + 12);
    }

    [Fact]
    public void NoiseBudget_Operations_SpendWhatTheyShould()
    {
        BfvParameters parameters = BfvParameters.ForKeys;
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        using Plaintext plain = BfvSets.Any(parameters);
        Ciphertext fresh = engine.Encrypt(plain, publicKey);
        int budget = engine.NoiseBudget(fresh, key);
        Assert.InRange(engine.NoiseBudget(engine.Multiply(fresh, 1 << 10), key), budget - 11, budget - 8);
        Assert.InRange(engine.NoiseBudget(engine.Multiply(fresh, (1UL << 40) - (1 << 10)), key), budget - 11, budget - 8); // times −2¹⁰
        Assert.InRange(engine.NoiseBudget(engine.Add(fresh, fresh), key), budget - 2, budget);
        // Independent errors grow by the root of their number: about 2^(10/2), at most 2¹⁰.
        Ciphertext[] many = [.. Enumerable.Range(0, 1024).Select(_ => engine.Encrypt(plain, publicKey))];
        Assert.InRange(engine.NoiseBudget(engine.AddMany(many), key), budget - 10, budget - 1);
        // One step past the end: nothing is left.
        Assert.Equal(0, engine.NoiseBudget(engine.Multiply(engine.Multiply(engine.Multiply(fresh, 1UL << 39), 1UL << 39), 1UL << 39), key));
    }

    [Fact]
    public void NoiseBudget_TheWrongKey_IsSpent()
    {
        BfvParameters parameters = BfvParameters.ForKeys;
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey(), other = engine.GenerateSecretKey();
        using Plaintext plain = BfvSets.Any(parameters);
        Ciphertext ciphertext = engine.Encrypt(plain, engine.GeneratePublicKey(key));
        Assert.Equal(0, engine.NoiseBudget(ciphertext, other));
        using Plaintext wrong = engine.Decrypt(ciphertext, other);
        Assert.True(wrong.Coefficients.ToArray().Zip(plain.Coefficients.ToArray()).Count(pair => pair.First == pair.Second) < 3);
    }

    [Fact]
    public void AddMany_AThousand_IsExact()
    {
        BfvParameters parameters = BfvParameters.ForKeys;
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        BigInteger[] sums = new BigInteger[parameters.Degree];
        Ciphertext[] many = [.. Enumerable.Range(0, 1000).Select(_ =>
        {
            using Plaintext plain = BfvSets.Any(parameters);
            for (int i = 0; i < sums.Length; i++) sums[i] += plain.Coefficients[i];
            return engine.Encrypt(plain, publicKey);
        })];
        using Plaintext opened = engine.Decrypt(engine.AddMany(many), key);
        Assert.Equal(sums.Select(sum => (ulong)(sum % parameters.PlainModulus.Value)), opened.Coefficients.ToArray());
    }

    [Fact]
    public void Encrypt_Twice_SharesNothing()
    {
        BfvParameters parameters = BfvSets.All["1024, one prime"];
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key), second = engine.GeneratePublicKey(key);
        using Plaintext plain = BfvSets.Any(parameters);
        Ciphertext[] all = [engine.Encrypt(plain, publicKey), engine.Encrypt(plain, publicKey), engine.EncryptSymmetric(plain, key), engine.EncryptSymmetric(plain, key)];
        for (int i = 0; i < all.Length; i++)
        {
            for (int j = 0; j < i; j++) Assert.True(all[i].Words.ToArray().Zip(all[j].Words.ToArray()).Count(pair => pair.First == pair.Second) < 3);
        }

        Assert.True(publicKey.Words.ToArray().Zip(second.Words.ToArray()).Count(pair => pair.First == pair.Second) < 3);
    }

    [Fact]
    public void Operations_ForeignParameters_AreNamedErrors()
    {
        BfvParameters ours = BfvSets.All["1024, one prime"], theirs = new(1024, [0x7e00001], 17);
        using IBfvEngine engine = BfvEngine.Create(ours), other = BfvEngine.Create(theirs);
        using SecretKey key = engine.GenerateSecretKey(), otherKey = other.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key), otherPublic = other.GeneratePublicKey(otherKey);
        using Plaintext plain = BfvSets.Any(ours), otherPlain = BfvSets.Any(theirs);
        Ciphertext ciphertext = engine.Encrypt(plain, publicKey), foreign = other.Encrypt(otherPlain, otherPublic);
        foreach (Action action in (Action[])
        [
            () => engine.GeneratePublicKey(otherKey), () => engine.Encrypt(plain, otherPublic), () => engine.Encrypt(otherPlain, publicKey), () => engine.EncryptSymmetric(plain, otherKey), () => engine.EncryptSymmetric(otherPlain, key),
            () => engine.Add(ciphertext, foreign), () => engine.Add(foreign, ciphertext), () => engine.AddMany([ciphertext, ciphertext, foreign]), () => engine.Subtract(ciphertext, foreign), () => engine.Subtract(foreign, ciphertext),
            () => engine.Multiply(foreign, 2), () => engine.Decrypt(foreign, key), () => engine.Decrypt(ciphertext, otherKey), () => engine.NoiseBudget(foreign, key), () => engine.NoiseBudget(ciphertext, otherKey),
        ])
        {
            Assert.Contains("other parameters", Assert.ThrowsAny<ArgumentException>(action).Message);
        }

        Assert.ThrowsAny<ArgumentException>(() => engine.AddMany([]));
    }

    [Fact]
    public void Operations_TwoLevels_AreNamedErrors()
    {
        BfvParameters parameters = BfvSets.All["4096 default, t = 1032193"];
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey();
        using Plaintext plain = BfvSets.Any(parameters);
        Ciphertext fresh = engine.EncryptSymmetric(plain, key), lower = BfvSets.Lower(fresh);
        foreach (Action action in (Action[])[() => engine.Add(fresh, lower), () => engine.Add(lower, fresh), () => engine.AddMany([fresh, fresh, lower]), () => engine.Subtract(lower, fresh)])
        {
            Assert.Contains("one level", Assert.ThrowsAny<ArgumentException>(action).Message);
        }
    }

    [Fact]
    public void Decrypt_ALowerLevel_IsExact()
    {
        BfvParameters parameters = BfvSets.All["8192 default, t = 2^40"];
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        using Plaintext a = BfvSets.Any(parameters), b = BfvSets.Any(parameters);
        Ciphertext x = engine.Encrypt(a, publicKey), y = engine.Encrypt(b, publicKey);
        while (x.Primes > 2)
        {
            (x, y) = (BfvSets.Lower(x), BfvSets.Lower(y));
            Ciphertext sum = engine.Add(x, y);
            Assert.Equal(x.Primes, sum.Primes);
            Assert.True(engine.NoiseBudget(sum, key) > 0);
            using Plaintext opened = engine.Decrypt(sum, key);
            for (int i = 0; i < parameters.Degree; i++) Assert.Equal((a.Coefficients[i] + b.Coefficients[i]) % (1UL << 40), opened.Coefficients[i]);
        }
    }

    [Fact]
    public void Operations_AWipedSecret_AreRefused()
    {
        BfvParameters parameters = BfvSets.All["1024, one prime"];
        using IBfvEngine engine = BfvEngine.Create(parameters);
        SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        Plaintext plain = BfvSets.Any(parameters), wiped = BfvSets.Any(parameters);
        Ciphertext ciphertext = engine.Encrypt(plain, publicKey);
        key.Dispose();
        wiped.Dispose();
        foreach (Action action in (Action[])[() => engine.GeneratePublicKey(key), () => engine.EncryptSymmetric(plain, key), () => engine.Decrypt(ciphertext, key), () => engine.NoiseBudget(ciphertext, key), () => engine.Encrypt(wiped, publicKey)])
        {
            Assert.Throws<ObjectDisposedException>(action);
        }
    }
}
