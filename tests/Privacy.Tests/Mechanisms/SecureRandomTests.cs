using System.Globalization;
using System.Reflection;
using Federation.Privacy.Mechanisms;
using Xunit;

namespace Federation.Privacy.Tests.Mechanisms;

public sealed class SecureRandomTests
{
    [Fact] // AES-256 of counters 0 and 1 under the zero key: McGrew and Viega, GCM test cases 13 (H, and E(K, Y₀))
    public void Fill_KnownKey_IsAesInCounterMode()
    {
        using SecureRandom random = SecureRandom.WithKnownKey(new byte[32]);
        byte[] bytes = new byte[32];
        random.Fill(bytes.AsSpan(0, 5));
        random.Fill(bytes.AsSpan(5));
        Assert.Equal("dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738b", Convert.ToHexStringLower(bytes));
    }

    [Fact]
    public void Fill_LongAndShortReads_AreOneStream()
    {
        byte[] key = [.. Enumerable.Range(7, 32).Select(i => (byte)i)];
        using SecureRandom one = SecureRandom.WithKnownKey(key), other = SecureRandom.WithKnownKey(key);
        byte[] whole = new byte[100_000], parts = new byte[100_000];
        one.Fill(whole);
        for (int i = 0, length = 1; i < parts.Length; i += length, length = Math.Min((length * 3) + 1, parts.Length - i)) other.Fill(parts.AsSpan(i, length));
        Assert.Equal(whole, parts);
    }

    [Fact]
    public void Fill_TwoGenerators_Differ()
    {
        using SecureRandom one = new(), other = new();
        Assert.NotEqual(one.NextUInt64(), other.NextUInt64());
    }

    [Fact]
    public async Task Fill_ManyThreads_NoBytesTwice()
    {
        using SecureRandom random = new();
        ulong[][] drawn = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Enumerable.Range(0, 100_000).Select(_ => random.NextUInt64()).ToArray(), TestContext.Current.CancellationToken)));
        Assert.Equal(400_000, drawn.SelectMany(values => values).Distinct().Count());
    }

    [Fact]
    public void Dispose_WipesWhatWasDrawnAhead()
    {
        SecureRandom random = SecureRandom.WithKnownKey(new byte[32]);
        _ = random.NextUInt64();
        byte[] Field(string name) => (byte[])typeof(SecureRandom).GetField(name, BindingFlags.NonPublic | BindingFlags.Instance)!.GetValue(random)!;
        Assert.Contains(Field("_buffer"), value => value != 0);
        random.Dispose();
        Assert.All(Field("_buffer"), value => Assert.Equal(0, value));
        Assert.Throws<ObjectDisposedException>(() => random.NextUInt32());
    }

    [Fact] // the kernel's own word; a .NET process cannot safely be forked to see it
    public unsafe void ForkGuard_ItsPage_IsMarkedWipeOnFork()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("the guard page is Linux's");
        Assert.NotEqual(0, ForkGuard.Generation);
        string address = ((nint)ForkGuard.Page).ToString("x", CultureInfo.InvariantCulture);
        string flags = File.ReadLines("/proc/self/smaps").SkipWhile(line => !line.StartsWith(address + "-", StringComparison.Ordinal)).First(line => line.StartsWith("VmFlags:", StringComparison.Ordinal));
        Assert.Contains(" wf", flags, StringComparison.Ordinal);
    }

    [Fact]
    public unsafe void Fill_PageWiped_DrawsANewKey()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("the guard page is Linux's");
        using SecureRandom child = SecureRandom.WithKnownKey(new byte[32]), parent = SecureRandom.WithKnownKey(new byte[32]);
        Assert.Equal(parent.NextUInt64(), child.NextUInt64());
        ulong next = parent.NextUInt64();
        *ForkGuard.Page = 0; // as the kernel does in a child
        Assert.NotEqual(next, child.NextUInt64());
    }
}
