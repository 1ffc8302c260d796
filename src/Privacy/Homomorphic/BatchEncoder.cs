using System.Numerics;

namespace Federation.Privacy.Homomorphic;

/// <summary>N values modulo t in a plaintext so that sums of plaintexts are sums of values: slots, in SEAL's order of two rows of N/2. Needs a prime t that is 1 more than a multiple of 2N.</summary>
/// <remarks>Smart and Vercauteren 2014.</remarks>
public sealed class BatchEncoder
{
    private readonly BfvParameters _parameters;
    private readonly NegacyclicTransform _transform;
    private readonly int[] _places;

    /// <exception cref="ArgumentException">t does not allow batching.</exception>
    public BatchEncoder(BfvParameters parameters)
    {
        ulong t = parameters.PlainModulus.Value;
        int degree = parameters.Degree;
        if ((t - 1) % (2 * (ulong)degree) != 0 || !parameters.PlainModulus.IsPrime()) throw new ArgumentException($"Batching needs a prime plain modulus that is 1 more than a multiple of {2 * degree}; {t} is not.", nameof(parameters));
        (_parameters, _transform, _places) = (parameters, new(degree, parameters.PlainModulus), new int[degree]);
        int bits = BitOperations.Log2((uint)degree), power = 1;
        for (int i = 0; i < degree / 2; i++, power = power * 3 % (2 * degree))
        {
            _places[i] = NegacyclicTransform.Reversed((power - 1) / 2, bits);
            _places[(degree / 2) + i] = NegacyclicTransform.Reversed(((2 * degree) - power - 1) / 2, bits);
        }
    }

    /// <param name="values">At most N, each below t; missing ones are zero.</param>
    /// <exception cref="ArgumentException">There are more, or one is too large.</exception>
    public Plaintext Encode(ReadOnlySpan<ulong> values)
    {
        using Plaintext check = new(_parameters, values);
        using SecretWords slots = new(_places.Length);
        for (int i = 0; i < _places.Length; i++) slots.Span[_places[i]] = check.Coefficients[i];
        _transform.Inverse(slots.Span);
        return new(_parameters, slots.Span);
    }

    /// <returns>All N values.</returns>
    /// <exception cref="ArgumentException">The plaintext was made for other parameters.</exception>
    public ulong[] Decode(Plaintext plaintext)
    {
        if (!plaintext.Parameters.Equals(_parameters)) throw new ArgumentException($"The plaintext was made for other parameters ({plaintext.Parameters}) than this encoder ({_parameters}).", nameof(plaintext));
        using SecretWords slots = new(_places.Length);
        plaintext.Coefficients.CopyTo(slots.Span);
        _transform.Forward(slots.Span);
        ulong[] values = new ulong[_places.Length];
        for (int i = 0; i < values.Length; i++) values[i] = slots.Span[_places[i]];
        return values;
    }
}
