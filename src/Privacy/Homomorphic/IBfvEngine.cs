namespace Federation.Privacy.Homomorphic;

/// <summary>BFV for sums: what runs needs of it. Two engines: ours, and Microsoft SEAL's library where the program was built with it (<see cref="BfvEngine"/>).</summary>
public interface IBfvEngine : IDisposable
{
    /// <summary>For logs and reports.</summary>
    string Name { get; }

    BfvParameters Parameters { get; }

    SecretKey GenerateSecretKey();

    PublicKey GeneratePublicKey(SecretKey key);

    /// <summary>A fresh ciphertext at the data level.</summary>
    Ciphertext Encrypt(Plaintext plaintext, PublicKey key);

    /// <summary>Under the secret key itself: a little less noise.</summary>
    Ciphertext EncryptSymmetric(Plaintext plaintext, SecretKey key);

    /// <exception cref="ArgumentException">The levels differ.</exception>
    Ciphertext Add(Ciphertext a, Ciphertext b);

    /// <param name="ciphertexts">At least one, of one level.</param>
    Ciphertext AddMany(IReadOnlyList<Ciphertext> ciphertexts);

    /// <exception cref="ArgumentException">The levels differ.</exception>
    Ciphertext Subtract(Ciphertext a, Ciphertext b);

    /// <summary>Every coefficient times an integer, modulo t. The noise grows by the same factor (or t minus it). A multiple of t gives a ciphertext of zeros, which hides nothing.</summary>
    Ciphertext Multiply(Ciphertext ciphertext, ulong factor);

    /// <summary>Right as long as <see cref="NoiseBudget"/> is above zero; nothing shows when it is not.</summary>
    Plaintext Decrypt(Ciphertext ciphertext, SecretKey key);

    /// <summary>Bits by which the noise may still grow, as SEAL counts them; 0: decryption may be wrong. The time depends on the noise: for tests and diagnosis.</summary>
    int NoiseBudget(Ciphertext ciphertext, SecretKey key);
}
