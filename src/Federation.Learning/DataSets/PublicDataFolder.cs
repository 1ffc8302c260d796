namespace Federation.Learning.DataSets;

/// <summary>Where public data sets lie.</summary>
public static class PublicDataFolder
{
    /// <summary><c>FED_DATA</c>, else <c>shared/data</c> beside the nearest folder upwards from the program that holds the solution.</summary>
    public static string Path
    {
        get
        {
            if (Environment.GetEnvironmentVariable("FED_DATA") is { Length: > 0 } given) return given;
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(System.IO.Path.Combine(folder.FullName, "Federated.sln"))) return System.IO.Path.Combine(folder.Parent?.FullName ?? "/", "shared", "data");
            }

            return System.IO.Path.Combine(AppContext.BaseDirectory, "shared", "data");
        }
    }
}
