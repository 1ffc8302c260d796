using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Federation.Privacy.Homomorphic;

/// <summary>Memory for a secret, zero at first: the collector does not copy it. Dispose wipes it, and from then on it is refused, because zeros would pass for the secret.</summary>
internal class SecretMemory<T>(int length) : IDisposable
    where T : unmanaged
{
    private readonly T[] _values = GC.AllocateArray<T>(length, pinned: true);
    private bool _disposed;

    /// <exception cref="ObjectDisposedException">The secret has been wiped.</exception>
    public Span<T> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _values;
        }
    }

    public void Dispose()
    {
        _disposed = true;
        CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(_values.AsSpan()));
    }
}

internal sealed class SecretWords(int length) : SecretMemory<ulong>(length);

internal sealed class SecretIntegers(int length) : SecretMemory<int>(length);
