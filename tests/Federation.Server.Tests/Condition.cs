namespace Federation.Server.Tests;

/// <summary>Waits for what another thread does; the test's own limit ends it.</summary>
internal static class Condition
{
    public static async Task HoldsAsync(Func<bool> holds)
    {
        while (!holds()) await Task.Delay(5, TestContext.Current.CancellationToken);
    }
}
