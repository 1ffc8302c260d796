using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The self-test of an epoch: everybody computes the same encryption of a fixed vector, its randomness expanded from the certificate. It opens to that vector, or a share is wrong.</summary>
/// <remarks>No member answers for a test ciphertext that somebody gave it: that would be a decryption oracle.</remarks>
public static class EpochTest
{
    public static Opening Opening(EpochCertificate certificate) => new("test", certificate.Descriptor.Epoch, 0, SecureAggregation.Opening.Test);

    /// <summary>1, 2, …, N.</summary>
    public static ulong[] Vector(EpochCertificate certificate) => [.. Enumerable.Range(1, certificate.Descriptor.Parameters.Degree).Select(i => (ulong)i)];

    public static Ciphertext Ciphertext(EpochCertificate certificate)
    {
        BfvParameters parameters = certificate.Descriptor.Parameters;
        using SecureRandom random = SecureRandom.WithKnownKey(new CanonicalWriter("test").Field(certificate.Hash).Hash());
        using ManagedBfvEngine engine = new(parameters, random);
        using Plaintext plaintext = new(parameters, Vector(certificate));
        return engine.Encrypt(plaintext, certificate.Key, random);
    }

    /// <summary>Whether these answers open the test: then every share in A fits the key, and the key's errors are not so large that they show above the smudges. Coordinator and sites check it before anything is encrypted under the key.</summary>
    /// <param name="answers">Of t members.</param>
    /// <exception cref="ProtocolException">They do not: the epoch is of no use.</exception>
    public static void Verify(EpochCertificate certificate, Roster roster, IReadOnlyList<SignedOpeningAnswer> answers)
    {
        int[] active = [.. answers.Select(answer => answer.Verify(certificate, roster).Index).Order()];
        if (active.Length != certificate.Descriptor.Threshold || !active.All(certificate.Qualified.Contains)) throw new ProtocolException(Refusal.WrongActiveSet, $"{active.Length} answers open the test of epoch {certificate.Descriptor.Epoch}; {certificate.Descriptor.Threshold} of its members are needed.");
        Ciphertext test = Ciphertext(certificate);
        using Plaintext opened = OpeningSum.Open(certificate, roster, Opening(certificate), test, 1, SetHash(test), active, answers);
        if (!opened.Coefficients.SequenceEqual(Vector(certificate))) throw new ProtocolException(Refusal.WrongSum, $"The test of epoch {certificate.Descriptor.Epoch} opened to another vector.");
    }

    /// <summary>What stands for U's hash.</summary>
    public static byte[] SetHash(Ciphertext test) => new CanonicalWriter("test-ciphertext").Field(PackedElement.Hash(test.Ring, test.First)).Field(PackedElement.Hash(test.Ring, test.Second)).Hash();
}
