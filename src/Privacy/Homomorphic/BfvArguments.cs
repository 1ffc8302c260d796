namespace Federation.Privacy.Homomorphic;

/// <summary>What both engines refuse, in the same words.</summary>
internal static class BfvArguments
{
    /// <exception cref="ArgumentException">It was made for other parameters.</exception>
    public static Plaintext Own(this BfvParameters parameters, Plaintext plaintext) => plaintext.Parameters.Equals(parameters) ? plaintext : throw Foreign("plaintext", plaintext.Parameters, parameters);

    public static Ciphertext Own(this BfvParameters parameters, Ciphertext ciphertext) => ciphertext.Parameters.Equals(parameters) ? ciphertext : throw Foreign("ciphertext", ciphertext.Parameters, parameters);

    public static PublicKey Own(this BfvParameters parameters, PublicKey key) => key.Parameters.Equals(parameters) ? key : throw Foreign("public key", key.Parameters, parameters);

    public static SecretKey Own(this BfvParameters parameters, SecretKey key) => key.Parameters.Equals(parameters) ? key : throw Foreign("secret key", key.Parameters, parameters);

    /// <exception cref="ArgumentException">There are none, their levels differ or one was made for other parameters.</exception>
    public static void OneLevel(this BfvParameters parameters, IReadOnlyList<Ciphertext> ciphertexts)
    {
        if (ciphertexts.Count == 0) throw new ArgumentException("There is nothing to add.", nameof(ciphertexts));
        int primes = parameters.Own(ciphertexts[0]).Primes;
        for (int i = 1; i < ciphertexts.Count; i++)
        {
            if (parameters.Own(ciphertexts[i]).Primes != primes) throw new ArgumentException($"One ciphertext has {primes} primes, another {ciphertexts[i].Primes}: only ciphertexts of one level can be added.", nameof(ciphertexts));
        }
    }

    private static ArgumentException Foreign(string what, BfvParameters other, BfvParameters ours) => new($"The {what} was made for other parameters ({other}) than this engine ({ours}).");
}
