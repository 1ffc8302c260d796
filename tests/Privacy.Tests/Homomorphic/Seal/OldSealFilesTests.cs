using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic.Seal;

/// <summary>What SEAL 3.5 and 3.6 wrote (<c>tests/reference/seal</c>).</summary>
public sealed class OldSealFilesTests
{
    private static readonly ulong[] s_slots = [.. Enumerable.Range(0, 1024).Select(i => (ulong)i % 7)];

    [Theory]
    [InlineData("3.5")]
    [InlineData("3.6")]
    public void Load_Everything_Decrypts(string version)
    {
        BfvParameters parameters = SealFormat.LoadParameters(Read(version, "parameters"));
        using SecretKey key = SealFormat.LoadSecretKey(parameters, Read(version, "secretKey"));
        using ManagedBfvEngine engine = new(parameters, new(), ownsRandom: true);
        BatchEncoder encoder = new(parameters);
        using Plaintext plaintext = SealFormat.LoadPlaintext(parameters, Read(version, "plaintext"));
        Assert.Equal(s_slots, encoder.Decode(plaintext));
        Expect(SealFormat.LoadCiphertext(parameters, Read(version, "ciphertext")));
        Expect(engine.EncryptSymmetric(plaintext, key));
        using Plaintext small = new(parameters, [0, 0, 1]);
        PublicKey publicKey = SealFormat.LoadPublicKey(parameters, Read(version, "publicKey"));
        Assert.Equal(engine.Decrypt(engine.Encrypt(small, publicKey), key).Coefficients, small.Coefficients);
        if (version == "3.5") return;
        Expect(SealFormat.LoadCiphertext(parameters, Read(version, "seededCiphertext")));
        PublicKey seeded = SealFormat.LoadPublicKey(parameters, Read(version, "seededPublicKey"));
        Assert.Equal(engine.Decrypt(engine.Encrypt(small, seeded), key).Coefficients, small.Coefficients);

        void Expect(Ciphertext ciphertext)
        {
            using Plaintext decrypted = engine.Decrypt(ciphertext, key);
            Assert.Equal(s_slots, encoder.Decode(decrypted));
        }
    }

    [Fact] // Before 3.6 a seed meant other numbers
    public void Load_SeedOf35_IsRefusedByName()
    {
        BfvParameters parameters = SealFormat.LoadParameters(Read("3.5", "parameters"));
        SealFormatException exception = Assert.Throws<SealFormatException>(() => SealFormat.LoadCiphertext(parameters, Read("3.5", "seededCiphertext")));
        Assert.Equal("seed", exception.Field);
        Assert.Contains("3.5", exception.Message, StringComparison.Ordinal);
    }

    private static byte[] Read(string version, string name) => File.ReadAllBytes(Path.Combine(Repository.Root, "tests", "reference", "seal", version, name + ".seal"));
}
