namespace Federation.Protocol;

/// <summary>The version of the wire contract; a node that speaks another is refused at its first call.</summary>
public static class ProtocolVersion
{
    public const uint Current = 1;
}

/// <summary>Bounds of every message, checked before memory is taken.</summary>
public static class Limits
{
    /// <summary>Largest piece of a blob in one message, bytes.</summary>
    public const int ChunkBytes = 1 << 20;

    /// <summary>What is sent in one message: below the size from which the runtime keeps an object apart, so that many transfers at once take little memory.</summary>
    public const int PieceBytes = 64 << 10;

    /// <summary>A model or update of at most so many bytes travels with the message that names it, without a call of its own.</summary>
    public const int SmallBytes = PieceBytes;

    /// <summary>Largest message either side accepts, bytes.</summary>
    public const int MessageBytes = 4 << 20;
}
