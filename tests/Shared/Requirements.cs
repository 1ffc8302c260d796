namespace Federation.Tests;

/// <summary>What some tests need beyond the .NET SDK.</summary>
internal static class Requirements
{
    /// <summary>Skips the test, or fails it where <c>FED_REQUIRE</c> names what is missing.</summary>
    public static void Missing(string requirement, string reason)
    {
        if ((Environment.GetEnvironmentVariable("FED_REQUIRE") ?? "").Split(',').Contains(requirement)) Assert.Fail(reason);
        Assert.Skip(reason);
    }
}
