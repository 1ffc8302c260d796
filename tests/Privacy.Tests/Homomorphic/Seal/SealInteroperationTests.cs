using System.Text.Json.Nodes;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic.Seal;

/// <summary>Ours and Microsoft SEAL with each other's keys, ciphertexts and bytes.</summary>
public sealed class SealInteroperationTests
{
    // The package holds SEAL 4.1, which reads only headers of its own version.
    private const SealVersion Version = SealVersion.Seal41;

    private static readonly (string Mode, SealCompression Compression)[] s_modes = [("none", SealCompression.None), ("zlib", SealCompression.Zlib), ("zstd", SealCompression.Zstandard)];

    [Theory]
    [MemberData(nameof(SealSets.Names), MemberType = typeof(SealSets))]
    public void Seal_KeysCiphertextsAndSums_AreSharedBothWays(string set)
    {
        (BfvParameters parameters, int count) = SealSets.All[set];
        using ManagedBfvEngine engine = new(parameters, new(), ownsRandom: true);
        using SecretKey ours = engine.GenerateSecretKey();
        (SecretKey theirs, PublicKey theirPublic) = SetUp(parameters);
        using (theirs)
        {
            Random random = new(count);
            Pair[] pairs = [new(engine, ours, engine.GeneratePublicKey(ours)), new(engine, theirs, theirPublic)];
            List<Case>[] cases = [.. pairs.Select(pair => Enumerable.Range(0, count / 2).Select(i => new Case(pair, random, s_modes[i % 3])).ToList())];
            bool lower = parameters.DataRing.Moduli.Count > 1 && parameters.PlainModulus.Bits < 30;
            JsonNode answer = RealSeal.Ask("cases", new()
            {
                ["parameters"] = Text(SealFormat.Save(parameters, SealCompression.None, Version)),
                ["lower"] = lower,
                ["groups"] = new JsonArray([.. pairs.Select((pair, i) => (JsonNode)new JsonObject
                {
                    ["secretKey"] = Text(SealFormat.Save(pair.Secret, SealCompression.None, Version)),
                    ["publicKey"] = Text(SealFormat.Save(pair.Public, SealCompression.Zlib, Version)),
                    ["cases"] = new JsonArray([.. cases[i].Select(each => (JsonNode)each.ToJson())]),
                })]),
            });
            for (int i = 0; i < pairs.Length; i++)
            {
                for (int j = 0; j < cases[i].Count; j++) cases[i][j].Check(answer[i]![j]!, lower);
            }
        }
    }

    [Fact] // Why headers of two versions are written: SEAL before 4.4 takes no minor version but its own
    public void Seal41_EveryObjectAndCompression_IsAcceptedWithItsOwnHeaderOnly()
    {
        BfvParameters parameters = SealSets.All["2048, two primes, t = 8"].Parameters;
        using ManagedBfvEngine engine = new(parameters, new(), ownsRandom: true);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        using Plaintext plaintext = new(parameters, [1, 2, 3]);
        Ciphertext ciphertext = engine.Encrypt(plaintext, publicKey);
        JsonArray objects = [];
        foreach (SealVersion version in new[] { SealVersion.Seal41, SealVersion.Seal44 })
        {
            foreach ((_, SealCompression compression) in s_modes)
            {
                Add("parameters", SealFormat.Save(parameters, compression, version));
                Add("plaintext", SealFormat.Save(plaintext, compression, version));
                Add("ciphertext", SealFormat.Save(ciphertext, compression, version));
                Add("publicKey", SealFormat.Save(publicKey, compression, version));
                Add("secretKey", SealFormat.Save(key, compression, version));
            }
        }

        string?[] answers = [.. RealSeal.Ask("accept", new() { ["parameters"] = Text(SealFormat.Save(parameters, SealCompression.None, Version)), ["objects"] = objects }).AsArray().Select(answer => (string?)answer)];
        Assert.All(answers[..15], Assert.Null);
        Assert.All(answers[15..], answer => Assert.Contains("incompatible version", answer, StringComparison.Ordinal));

        void Add(string kind, byte[] bytes) => objects.Add(new JsonObject { ["kind"] = kind, ["bytes"] = Text(bytes) });
    }

    private static JsonNode Text(byte[] bytes) => Convert.ToBase64String(bytes);

    /// <summary>Reads all that SEAL makes for these parameters, in every form; gives back its keys.</summary>
    private static (SecretKey Secret, PublicKey Public) SetUp(BfvParameters parameters)
    {
        // SEAL takes seconds to compress large keys with zlib.
        string[] modes = [.. s_modes.Select(mode => mode.Mode).Where(mode => mode != "zlib" || parameters.Degree <= 8192)];
        JsonNode answer = RealSeal.Ask("setUp", new() { ["parameters"] = Text(SealFormat.Save(parameters, SealCompression.Zstandard, Version)), ["modes"] = new JsonArray([.. modes.Select(mode => (JsonNode)mode)]) });
        string[] levels = [.. answer["levels"]!.AsArray().Select(level => (string)level!)];
        IEnumerable<int> primes = Enumerable.Range(1, parameters.DataRing.Moduli.Count).Where(count => parameters.KeyRing.First(count).Product > parameters.PlainModulus.Value).Reverse().Prepend(parameters.Primes.Count);
        Assert.Equal(primes.Select(count => Convert.ToHexStringLower(parameters.LevelId(count))), levels);

        SecretKey? secret = null;
        PublicKey? open = null;
        foreach (string mode in modes)
        {
            JsonNode form = answer[mode]!;
            Assert.Equal(parameters, SealFormat.LoadParameters(RealSeal.Bytes(form["parameters"])));
            SecretKey key = SealFormat.LoadSecretKey(parameters, RealSeal.Bytes(form["secretKey"]));
            PublicKey publicKey = SealFormat.LoadPublicKey(parameters, RealSeal.Bytes(form["publicKey"]));
            PublicKey seeded = SealFormat.LoadPublicKey(parameters, RealSeal.Bytes(form["seededPublicKey"]));
            Assert.Equal((secret ??= key).Words, key.Words);
            Assert.Equal((open ??= publicKey).Words, publicKey.Words);
            AssertSmall(parameters, publicKey, key);
            AssertSmall(parameters, seeded, key);
        }

        JsonNode plain = answer["none"]!;
        Assert.Equal(RealSeal.Bytes(plain["parameters"]), SealFormat.Save(parameters, SealCompression.None, Version));
        Assert.Equal(RealSeal.Bytes(plain["secretKey"]), SealFormat.Save(secret!, SealCompression.None, Version));
        Assert.Equal(RealSeal.Bytes(plain["publicKey"]), SealFormat.Save(open!, SealCompression.None, Version));
        return (secret!, open!);
    }

    /// <summary>p₀ + p₁·s is an error: at most 21 in every coefficient.</summary>
    private static void AssertSmall(BfvParameters parameters, PublicKey key, SecretKey secret)
    {
        ulong[] error = key.Second.ToArray();
        parameters.KeyRing.Multiply(error, secret.Words);
        parameters.KeyRing.Add(error, key.First);
        parameters.KeyRing.Inverse(error);
        for (int i = 0; i < error.Length; i++)
        {
            ulong q = parameters.Primes[i / parameters.Degree];
            Assert.True(Math.Min(error[i], q - error[i]) <= 21, $"word {i}");
        }
    }

    private sealed record Pair(ManagedBfvEngine Engine, SecretKey Secret, PublicKey Public);

    /// <summary>One plaintext, two ciphertexts of ours, and what SEAL makes of them.</summary>
    private sealed class Case
    {
        private readonly Pair _pair;
        private readonly string _mode;
        private readonly SealCompression _compression;
        private readonly Plaintext _plaintext;
        private readonly Ciphertext[] _ciphertexts;

        public Case(Pair pair, Random random, (string, SealCompression) mode)
        {
            (_pair, (_mode, _compression)) = (pair, mode);
            BfvParameters parameters = pair.Engine.Parameters;
            ulong[] coefficients = new ulong[random.Next(1, parameters.Degree + 1)];
            for (int i = 0; i < coefficients.Length; i++) coefficients[i] = (ulong)random.NextInt64((long)parameters.PlainModulus.Value);
            coefficients[^1] = parameters.PlainModulus.Value - 1;
            _plaintext = new(parameters, coefficients);
            _ciphertexts = [pair.Engine.Encrypt(_plaintext, pair.Public), pair.Engine.EncryptSymmetric(_plaintext, pair.Secret)];
        }

        public JsonObject ToJson() => new()
        {
            ["mode"] = _mode,
            ["plaintext"] = Text(SealFormat.Save(_plaintext, _compression, Version)),
            ["ciphertexts"] = new JsonArray([.. _ciphertexts.Select(ciphertext => Text(SealFormat.Save(ciphertext, _compression, Version)))]),
        };

        public void Check(JsonNode answer, bool lower)
        {
            for (int i = 0; i < _ciphertexts.Length; i++) Expect(_ciphertexts[i], answer["read"]![i]!, 1);

            JsonNode[] made = [.. answer["made"]!.AsArray().Select(node => node!)];
            Assert.Equal(lower ? 4 : 3, made.Length);
            Ciphertext[] read = [.. made.Select(node => SealFormat.LoadCiphertext(_plaintext.Parameters, RealSeal.Bytes(node["bytes"])))];
            uint[] factors = [1, 1, 4, 1];
            for (int i = 0; i < read.Length; i++)
            {
                Expect(read[i], made[i], factors[i]);
                if (_compression == SealCompression.None) Assert.Equal(RealSeal.Bytes(made[i]["bytes"]), SealFormat.Save(read[i], SealCompression.None, Version));
            }

            Assert.Equal(_pair.Engine.AddMany([_ciphertexts[0], read[0], _ciphertexts[1], read[1]]).Words, read[2].Words);
            if (lower) Assert.Equal(read[0].Primes - 1, read[3].Primes);

            Ciphertext seeded = SealFormat.LoadCiphertext(_plaintext.Parameters, RealSeal.Bytes(answer["seeded"]));
            using Plaintext decrypted = _pair.Engine.Decrypt(seeded, _pair.Secret);
            Assert.Equal(_plaintext.Coefficients, decrypted.Coefficients);
            Assert.InRange(_pair.Engine.NoiseBudget(seeded, _pair.Secret), _pair.Engine.NoiseBudget(read[1], _pair.Secret) - 2, int.MaxValue);
        }

        /// <summary>Both sides read the same from a ciphertext: factor times the plaintext, and see the same noise.</summary>
        private void Expect(Ciphertext ciphertext, JsonNode seal, uint factor)
        {
            BfvParameters parameters = _plaintext.Parameters;
            byte[] bytes = RealSeal.Bytes(seal["plaintext"]);
            using Plaintext decrypted = _pair.Engine.Decrypt(ciphertext, _pair.Secret), theirs = SealFormat.LoadPlaintext(parameters, bytes);
            for (int i = 0; i < parameters.Degree; i++) Assert.Equal((ulong)((UInt128)_plaintext.Coefficients[i] * factor % parameters.PlainModulus.Value), decrypted.Coefficients[i]);
            Assert.Equal(decrypted.Coefficients, theirs.Coefficients);
            if (_compression == SealCompression.None) Assert.Equal(bytes, SealFormat.Save(theirs, SealCompression.None, Version));
            int budget = _pair.Engine.NoiseBudget(ciphertext, _pair.Secret);
            Assert.True(budget > 0);
            Assert.Equal((int)seal["budget"]!, budget);
        }
    }
}
