namespace Federation.Privacy.SecureAggregation;

/// <summary>Numbers of which each may be taken once, by any thread: a bit a number.</summary>
internal sealed class OnceEach(int count)
{
    private readonly int[] _taken = new int[(count + 31) / 32];

    /// <returns>Whether it was there to take.</returns>
    public bool TryTake(int number)
    {
        int bit = 1 << (number % 32);
        return (Interlocked.Or(ref _taken[number / 32], bit) & bit) == 0;
    }
}
