namespace Federation.Privacy.Homomorphic;

/// <summary>How a SEAL object is stored, numbered as its header has it.</summary>
public enum SealCompression
{
    None = 0,

    /// <summary>RFC 1950.</summary>
    Zlib = 1,

    /// <summary>RFC 8878.</summary>
    Zstandard = 2,
}

/// <summary>Which release of SEAL a written header names. The objects of BFV are the same in both, but a SEAL before 4.4 reads no other minor version than its own.</summary>
public enum SealVersion
{
    /// <summary>Also read by the last .NET and WebAssembly packages of SEAL.</summary>
    Seal41 = 0x0401,

    Seal44 = 0x0404,
}
