using System.Security.Cryptography;
using Federation.Formats;

namespace Federation.Samples.Medical.Data;

/// <param name="Name">FLamby's and UCI's name of the hospital.</param>
/// <param name="Title">What people call it.</param>
internal sealed record Hospital(string Name, string Title, string Sha256)
{
    public static readonly IReadOnlyList<Hospital> All =
    [
        new("cleveland", "Cleveland", "a74b7efa387bc9d108d7d0115d831fe9b414b29ae7124f331b622b4efa0427c8"),
        new("hungarian", "Hungary", "d1ad108f785768cd3d7e82dc522e6f5a61eea93cccfb3a46ee8076f73fc3d796"),
        new("switzerland", "Switzerland", "834a405ccf5b66ab4056bb77794adc8df0b7125186454c0a1d002d33c6c3b314"),
        new("va", "Long Beach VA", "e7c93d8d0d2acdadfa4c5e8de768e2191e7f618b952e29623f1f0d5949ff6b8f"),
    ];

    public string FileName => $"processed.{Name}.data";
}

/// <summary>The four hospitals' files: from <c>FED_DATA</c>, else downloaded and checked, else made up and said so.</summary>
internal sealed record HeartData(IReadOnlyDictionary<string, string> TextBySite, bool IsSynthetic)
{
    private const string DefaultBase = "https://archive.ics.uci.edu/ml/machine-learning-databases/heart-disease/";
    private const int LargestFile = 1 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>As metrics.json writes it.</summary>
    public string Source => IsSynthetic ? "synthetic" : "uci";

    /// <param name="say">Told where the data comes from, and why not from elsewhere.</param>
    public static async Task<HeartData> ObtainAsync(Action<string> say, CancellationToken cancellationToken)
    {
        string folder = Path.Combine(DataFolder(), "heart-disease");
        if (Read(folder) is { } local)
        {
            say("Data: UCI heart disease, four hospitals (FED_DATA)");
            return local;
        }

        string cache = Path.Combine(CacheFolder(), "heart-disease");
        if (Read(cache) is { } cached)
        {
            say("Data: UCI heart disease, four hospitals (downloaded before)");
            return cached;
        }

        string address = Environment.GetEnvironmentVariable("FED_DOWNLOAD_BASE") is { Length: > 0 } given ? given.TrimEnd('/') + "/" : DefaultBase;
        try
        {
            await DownloadAsync(new Uri(address), cache, cancellationToken);
            say($"Data: UCI heart disease, four hospitals (downloaded from {new Uri(address).Host})");
            return Read(cache)!;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or InvalidDataException or UnauthorizedAccessException || (error is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            string reason = error is OperationCanceledException ? $"no answer within {Patience.TotalSeconds:0} s" : error.Message;
            say($"SYNTHETIC PATIENTS: the UCI files could not be downloaded ({reason}). Every figure below is about made-up people.");
            return new HeartData(SyntheticPatients.Create(), true);
        }
    }

    /// <summary>Fetches the four files into a folder, each only if its SHA-256 is right.</summary>
    /// <exception cref="InvalidDataException">A file has another content.</exception>
    internal static async Task DownloadAsync(Uri address, string folder, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        using var client = new HttpClient { Timeout = Patience, MaxResponseContentBufferSize = LargestFile };
        await Task.WhenAll(Hospital.All.Select(async hospital =>
        {
            byte[] bytes = await client.GetByteArrayAsync(new Uri(address, hospital.FileName), cancellationToken);
            string actual = Convert.ToHexStringLower(SHA256.HashData(bytes));
            if (actual != hospital.Sha256) throw new InvalidDataException($"{hospital.FileName} has SHA-256 {actual}; {hospital.Sha256} is right, so it was thrown away");
            string fresh = Path.Combine(folder, $"{hospital.FileName}.{Guid.NewGuid():n}");
            await File.WriteAllBytesAsync(fresh, bytes, cancellationToken);
            File.Move(fresh, Path.Combine(folder, hospital.FileName), overwrite: true);
        }));
    }

    /// <summary>The files of a folder; null where one is missing.</summary>
    /// <exception cref="InvalidInputException">A file is there and has another content.</exception>
    private static HeartData? Read(string folder)
    {
        Dictionary<string, string> texts = [];
        foreach (Hospital hospital in Hospital.All)
        {
            string path = Path.Combine(folder, hospital.FileName);
            if (!File.Exists(path)) return null;
            byte[] bytes = File.ReadAllBytes(path);
            string actual = Convert.ToHexStringLower(SHA256.HashData(bytes));
            if (actual != hospital.Sha256) throw new InvalidInputException(new Problem($"The file's SHA-256 is {actual}; {hospital.Sha256} is right.", path, Repair: "Remove it, or name another folder in FED_DATA."));
            texts[hospital.Name] = System.Text.Encoding.UTF8.GetString(bytes);
        }

        return new HeartData(texts, false);
    }

    private static string DataFolder()
    {
        if (Environment.GetEnvironmentVariable("FED_DATA") is { Length: > 0 } given) return given;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Federated.sln"))) return Path.Combine(folder.Parent?.FullName ?? "/", "shared", "data");
        }

        return Path.Combine(AppContext.BaseDirectory, "shared", "data");
    }

    private static string CacheFolder() => Environment.GetEnvironmentVariable("FED_CACHE") is { Length: > 0 } given
        ? given
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "federated");
}
