namespace Federation.Privacy.Homomorphic;

/// <summary>Bytes are not the SEAL object that they should be: which field, where, what was found and what would be right.</summary>
public sealed class SealFormatException : FormatException
{
    public SealFormatException(string @object, string field, long offset, string found, string expected)
        : base($"{@object}, {field} at byte {offset}: found {found}, but {expected}.") => (Object, Field, Offset) = (@object, field, offset);

    /// <summary>What was to be read: ciphertext, public key, …</summary>
    public string Object { get; }

    public string Field { get; }

    /// <summary>Of the field's first byte; in a compressed object as if it were not compressed.</summary>
    public long Offset { get; }
}
