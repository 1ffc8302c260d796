using Federation.Samples.Data;

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

    public Site Site => new(Name, Title);
}

/// <summary>The four hospitals' files, or made-up ones in their form.</summary>
internal sealed record HeartData(IReadOnlyDictionary<string, string> TextBySite, bool IsSynthetic)
{
    public static readonly PublicFiles Files = new(
        "UCI heart disease, four hospitals",
        "heart-disease",
        new Uri("https://archive.ics.uci.edu/ml/machine-learning-databases/heart-disease/"),
        [.. Hospital.All.Select(hospital => new PublicFile(hospital.FileName, hospital.Sha256))],
        1 << 20,
        "SYNTHETIC PATIENTS: the UCI files could not be downloaded ({0}). Every figure below is about made-up people.");

    public static HeartData MadeUp { get; } = new(SyntheticPatients.Create(), true);

    public static async Task<HeartData> ObtainAsync(Action<string> say, CancellationToken cancellationToken) =>
        await Files.ObtainAsync(say, cancellationToken) is { } texts ? new HeartData(Hospital.All.ToDictionary(hospital => hospital.Name, hospital => texts[hospital.FileName]), false) : MadeUp;
}
