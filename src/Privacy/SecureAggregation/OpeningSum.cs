using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The coordinator's end of an opening: the sum's message from Σc₀ and the answers of all of A.</summary>
public static class OpeningSum
{
    /// <param name="certificate">Of the epoch.</param>
    /// <param name="roster">Whose keys sign.</param>
    /// <param name="sum">The sum of the contributors' key ciphertexts.</param>
    /// <param name="contributions">How many.</param>
    /// <param name="set">U's hash.</param>
    /// <param name="active">A, rising.</param>
    /// <param name="answers">One of each of A.</param>
    /// <exception cref="ProtocolException">An answer is missing or belongs to something else, or together they decrypt nothing.</exception>
    public static Plaintext Open(EpochCertificate certificate, Roster roster, Opening opening, Ciphertext sum, int contributions, byte[] set, IReadOnlyList<int> active, IEnumerable<SignedOpeningAnswer> answers)
    {
        BfvParameters parameters = certificate.Descriptor.Parameters;
        RnsRing ring = parameters.DataRing;
        if (!sum.Parameters.Equals(parameters) || sum.Primes != ring.Moduli.Count) throw new ProtocolException(Refusal.WrongParameters, $"The sum is a ciphertext of {sum.Parameters} with {sum.Primes} primes; epoch {certificate.Descriptor.Epoch} has {parameters} with {ring.Moduli.Count}.");
        using SecretWords phase = new(ring.Words);
        sum.First.CopyTo(phase.Span);
        SortedSet<int> seen = [];
        foreach (SignedOpeningAnswer signed in answers)
        {
            OpeningAnswer answer = signed.Verify(certificate, roster);
            if (answer.Opening != opening || !answer.Active.SequenceEqual(active) || !answer.Set.AsSpan().SequenceEqual(set)) throw new ProtocolException(Refusal.AnotherOpening, $"The answer of member {answer.Index} is for the {answer.Opening} or for another set.");
            if (!active.Contains(answer.Index) || !seen.Add(answer.Index)) throw new ProtocolException(Refusal.WrongActiveSet, $"Member {answer.Index} is not in the active set, or answered twice.");
            ring.Add(phase.Span, EpochTranscript.Decoded(() => PackedElement.Unpack(ring, signed.Part)));
        }

        if (seen.Count != active.Count) throw new ProtocolException(Refusal.WrongActiveSet, $"{seen.Count} of {active.Count} members of the active set have answered.");
        return PartialDecryption.Open(parameters, phase.Span, PartialDecryption.NoiseBits(ring.Degree, contributions, certificate.Qualified.Count), active.Count);
    }
}
