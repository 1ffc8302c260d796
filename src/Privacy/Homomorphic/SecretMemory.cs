using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Federation.Privacy.Homomorphic;

/// <summary>Words that the collector does not copy, wiped on dispose.</summary>
internal sealed class SecretWords(int length) : IDisposable
{
    private readonly ulong[] _words = GC.AllocateArray<ulong>(length, pinned: true);

    public Span<ulong> Span => _words;

    public void Dispose() => CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(_words.AsSpan()));
}

/// <summary>Small integers that the collector does not copy, wiped on dispose.</summary>
internal sealed class SecretIntegers(int length) : IDisposable
{
    private readonly int[] _values = GC.AllocateArray<int>(length, pinned: true);

    public Span<int> Span => _values;

    public void Dispose() => CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(_values.AsSpan()));
}
