using System.Buffers.Binary;

namespace Federation.Privacy.Tests.Fuzz;

/// <summary>Valid encodings of some format, broken at random: bits, numbers, lengths, pieces. The same seed gives the same inputs.</summary>
/// <param name="corpus">Valid encodings.</param>
/// <param name="headBytes">Where fields are dense: most changes fall there.</param>
/// <param name="repair">Makes right again what would end most decoding at once, such as an outer length; applied to most inputs.</param>
internal sealed class ByteMutator(int seed, IReadOnlyList<byte[]> corpus, int headBytes, ByteMutator.Repair? repair = null)
{
    private readonly Random _random = new(seed);
    private readonly byte[] _buffer = new byte[(2 * corpus.Max(each => each.Length)) + 64];
    private int _length;

    public delegate void Repair(Span<byte> input);

    /// <summary>The next input; valid until the one after it.</summary>
    public ReadOnlySpan<byte> Next()
    {
        byte[] start = corpus[_random.Next(corpus.Count)];
        start.CopyTo(_buffer, 0);
        _length = start.Length;
        for (int changes = 1 + _random.Next(3); changes > 0; changes--) Change();
        if (repair != null && _random.Next(8) != 0) repair(Input);
        return Input;
    }

    private Span<byte> Input => _buffer.AsSpan(0, _length);

    private void Change()
    {
        int place = Place();
        Span<byte> rest = Input[place..];
        switch (_random.Next(rest.Length < sizeof(ulong) ? 6 : 9))
        {
            case 0 when rest.Length > 0:
                rest[0] ^= (byte)(1 << _random.Next(8));
                break;
            case 1 when rest.Length > 0:
                rest[0] = (byte)_random.Next(256);
                break;
            case 2: // cut off
                _length = place;
                break;
            case 3: // go on
                Insert(_length, _random.Next(1, 40));
                _random.NextBytes(Input[^Math.Min(_length, 8)..]);
                break;
            case 4: // a piece too much, of here or elsewhere
                byte[] other = corpus[_random.Next(corpus.Count)];
                int from = _random.Next(other.Length), length = Insert(place, Math.Min(_random.Next(1, 65), other.Length - from));
                other.AsSpan(from, length).CopyTo(_buffer.AsSpan(place));
                break;
            case 5: // a piece too little
                int gone = Math.Min(rest.Length, _random.Next(1, 65));
                rest[gone..].CopyTo(rest);
                _length -= gone;
                break;
            case 6: // the head of one, the tail of another
                byte[] tail = corpus[_random.Next(corpus.Count)];
                int start = Math.Min(place, tail.Length);
                _length = place;
                Insert(place, Math.Min(tail.Length - start, _buffer.Length - place));
                tail.AsSpan(start, _length - place).CopyTo(_buffer.AsSpan(place));
                break;
            case 7:
                BinaryPrimitives.WriteUInt64LittleEndian(rest, Number(BinaryPrimitives.ReadUInt64LittleEndian(rest)));
                break;
            case 8:
                BinaryPrimitives.WriteUInt32LittleEndian(rest, (uint)(Number(BinaryPrimitives.ReadUInt32LittleEndian(rest)) & uint.MaxValue));
                break;
        }
    }

    private int Place() => _random.Next(1 + (_random.Next(4) == 0 ? _length : Math.Min(headBytes, _length)));

    /// <summary>Such as lengths go wrong by.</summary>
    private ulong Number(ulong old) => unchecked(_random.Next(8) switch
    {
        0 => 0,
        1 => ulong.MaxValue,
        2 => (ulong)_random.NextInt64(),
        3 => 1UL << _random.Next(64),
        4 => (1UL << _random.Next(64)) - 1,
        5 => old + 1,
        6 => old - 1,
        _ => (ulong)_length,
    });

    /// <summary>Room in the middle; as much as fits.</summary>
    private int Insert(int place, int length)
    {
        length = Math.Min(length, _buffer.Length - _length);
        _buffer.AsSpan(place, _length - place).CopyTo(_buffer.AsSpan(place + length));
        _length += length;
        return length;
    }
}
