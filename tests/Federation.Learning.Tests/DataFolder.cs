namespace Federation.Learning.Tests;

/// <summary>Real data sets: <c>FED_DATA</c>, else <c>shared/data</c> beside the repository. Without them a test is skipped, or fails where <c>FED_REQUIRE</c> asks for data.</summary>
internal static class DataFolder
{
    public static string Require(string name)
    {
        string path = Path.Combine(Environment.GetEnvironmentVariable("FED_DATA") is { Length: > 0 } given ? given : Default(), name);
        if (Directory.Exists(path)) return path;
        string reason = $"The data set '{name}' is not at {path}; set FED_DATA.";
        if ((Environment.GetEnvironmentVariable("FED_REQUIRE") ?? "").Split(',').Contains("data")) Assert.Fail(reason);
        Assert.Skip(reason);
        return path;
    }

    private static string Default()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Federated.sln"))) return Path.Combine(folder.Parent?.FullName ?? "/", "shared", "data");
        }

        return "shared/data";
    }
}
