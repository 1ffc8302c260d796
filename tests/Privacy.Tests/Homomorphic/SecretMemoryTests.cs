using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic;

/// <summary>Looks at the memory that held a secret after the owner has let it go; it is pinned, so that there is one copy to look at.</summary>
public sealed class SecretMemoryTests
{
    private static readonly BfvParameters s_parameters = BfvSets.All["1024, one prime"];

    [Fact]
    public void SecretKey_Disposed_IsWipedAndRefusesUse()
    {
        using IBfvEngine engine = BfvEngine.Create(s_parameters);
        SecretKey key = engine.GenerateSecretKey();
        ReadOnlySpan<ulong> memory = key.Words;
        Assert.NotEqual(-1, memory.IndexOfAnyExcept(0UL));
        key.Dispose();
        Assert.Equal(-1, memory.IndexOfAnyExcept(0UL));
        Assert.Throws<ObjectDisposedException>(() => key.Words.Length);
        key.Dispose();
    }

    [Fact] // issue 5: a wiped plaintext was encrypted as zeros
    public void Plaintext_Disposed_IsWipedAndRefusesUse()
    {
        Plaintext plain = new(s_parameters, [1, 2, 3]);
        ReadOnlySpan<ulong> memory = plain.Coefficients;
        plain.Dispose();
        Assert.Equal(1024, memory.Length);
        Assert.Equal(-1, memory.IndexOfAnyExcept(0UL));
        Assert.Throws<ObjectDisposedException>(() => plain.Coefficients.Length);
        plain.Dispose();
    }

    [Fact]
    public void SecretKey_OfWords_IsACopy()
    {
        ulong[] words = new ulong[1024];
        words[5] = 7;
        using SecretKey key = new(s_parameters, words);
        words[5] = 8;
        Assert.Equal(7UL, key.Words[5]);
    }

    [Fact]
    public void SecretWords_Disposed_AreWiped()
    {
        SecretWords words = new(100);
        Span<ulong> memory = words.Span;
        memory.Fill(ulong.MaxValue);
        words.Dispose();
        Assert.Equal(-1, memory.IndexOfAnyExcept(0UL));
        SecretIntegers integers = new(100);
        Span<int> small = integers.Span;
        small.Fill(-1);
        integers.Dispose();
        Assert.Equal(-1, small.IndexOfAnyExcept(0));
    }

    [Theory] // the collector leaves pinned memory where it is: no copy stays behind
    [InlineData(16)]
    [InlineData(100_000)]
    public unsafe void SecretWords_AfterCollections_HaveNotMoved(int length)
    {
        using SecretWords words = new(length);
        nint before = Address(words.Span);
        for (int i = 0; i < 3; i++) GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        Assert.Equal(before, Address(words.Span));

        static nint Address(Span<ulong> span)
        {
            fixed (ulong* first = span) return (nint)first;
        }
    }
}
