namespace Federation.Tests;

/// <summary>Real data sets: <c>FED_DATA</c>, else <c>shared/data</c> beside the repository.</summary>
internal static class TestData
{
    /// <summary>The folder that holds this data set's folder. Without it the test is skipped, or fails where <c>FED_REQUIRE</c> asks for data.</summary>
    public static string FolderWith(string name)
    {
        string data = Environment.GetEnvironmentVariable("FED_DATA") is { Length: > 0 } given ? given : Path.Combine(Path.GetDirectoryName(Repository.Root) ?? "/", "shared", "data");
        if (Directory.Exists(Path.Combine(data, name))) return data;
        Requirements.Missing("data", $"The data set '{name}' is not in {data}; set FED_DATA.");
        return data;
    }
}

/// <summary>Where the sources are: the nearest folder upwards that holds the solution.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Federated.sln"))) return folder.FullName;
        }

        throw new InvalidOperationException("The tests do not lie in the repository.");
    }
}
