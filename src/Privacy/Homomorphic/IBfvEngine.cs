namespace Federation.Privacy.Homomorphic;

/// <summary>BFV for sums: what runs needs of it. Two engines: ours, and Microsoft SEAL's library where the program was built with it (<see cref="BfvEngine"/>).</summary>
public interface IBfvEngine : IDisposable
{
    /// <summary>For logs and reports.</summary>
    string Name { get; }

    BfvParameters Parameters { get; }

    SecretKey GenerateSecretKey();

    /// <exception cref="ArgumentException">The key was made for other parameters.</exception>
    /// <exception cref="ObjectDisposedException">The key has been wiped.</exception>
    PublicKey GeneratePublicKey(SecretKey key);

    /// <summary>A fresh ciphertext at the data level.</summary>
    /// <exception cref="ArgumentException">Plaintext or key were made for other parameters.</exception>
    Ciphertext Encrypt(Plaintext plaintext, PublicKey key);

    /// <summary>Under the secret key itself: a little less noise.</summary>
    /// <exception cref="ArgumentException">Plaintext or key were made for other parameters.</exception>
    /// <exception cref="ObjectDisposedException">The key has been wiped.</exception>
    Ciphertext EncryptSymmetric(Plaintext plaintext, SecretKey key);

    /// <exception cref="ArgumentException">The levels or the parameters differ.</exception>
    Ciphertext Add(Ciphertext a, Ciphertext b);

    /// <param name="ciphertexts">At least one, of one level.</param>
    /// <exception cref="ArgumentException">There is none, or levels or parameters differ.</exception>
    Ciphertext AddMany(IReadOnlyList<Ciphertext> ciphertexts);

    /// <exception cref="ArgumentException">The levels differ.</exception>
    Ciphertext Subtract(Ciphertext a, Ciphertext b);

    /// <summary>Every coefficient times an integer, modulo t. The noise grows by the same factor (or t minus it). A multiple of t gives a ciphertext of zeros, which hides nothing.</summary>
    Ciphertext Multiply(Ciphertext ciphertext, ulong factor);

    /// <summary>Of a sum of encryptions that were made as they should be: right as long as <see cref="NoiseBudget"/> is above zero; nothing shows when it is not.</summary>
    /// <remarks>Only for ciphertexts of known origin. Whoever may have any ciphertext decrypted, or learn its noise budget, can find the secret key by a few of them.</remarks>
    /// <exception cref="ArgumentException">Ciphertext or key were made for other parameters.</exception>
    /// <exception cref="ObjectDisposedException">The key has been wiped.</exception>
    Plaintext Decrypt(Ciphertext ciphertext, SecretKey key);

    /// <summary>Bits by which the noise may still grow, as SEAL counts them; 0: decryption may be wrong. A budget above zero says nothing of a ciphertext whose noise went beyond q. The time depends on the noise: for tests and diagnosis.</summary>
    int NoiseBudget(Ciphertext ciphertext, SecretKey key);
}
