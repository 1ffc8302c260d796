using System.Xml.Linq;

namespace Federation.EndToEnd.Tests;

/// <summary>The table of docs/architecture.md: what each project may reference. An arrow that is not in it, or a project that is not, fails.</summary>
public sealed class ProjectReferenceTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Privacy"] = ["MathNet.Numerics", "Microsoft.Data.Sqlite", "ZstdSharp.Port", "Microsoft.Research.SEALNet"],
        ["Federation.Formats"] = ["Privacy", "YamlDotNet"],
        ["Federation.Protocol"] = ["Privacy", "Federation.Formats", "Google.Protobuf", "Grpc.Net.Client", "Grpc.StatusProto", "Grpc.Tools", "ZstdSharp.Port"],
        ["Federation.Learning"] = ["Privacy", "Federation.Formats", "TorchSharp"],
        ["Federation.Server"] = ["Privacy", "Federation.Formats", "Federation.Protocol", "Grpc.AspNetCore", "Microsoft.Data.Sqlite", "Npgsql", "Microsoft.AspNetCore.App"],
        ["Federation.Client"] = ["Privacy", "Federation.Formats", "Federation.Protocol", "Federation.Learning", "Grpc.Net.Client", "Microsoft.Extensions.Logging.Abstractions"],
        ["Federation.Simulation"] = ["Federation.Learning", "Federation.Server", "ScottPlot"],
        ["Federation.Cli"] = ["Privacy", "Federation.Formats", "Federation.Protocol", "Federation.Learning", "Federation.Server", "Federation.Client", "Federation.Simulation", "System.CommandLine", "Spectre.Console"],
        ["Federation.Samples"] = ["Federation.Client", "Federation.Server", "Federation.Learning", "ScottPlot", "Spectre.Console"],
        ["medical"] = ["Federation.Samples"],
        ["banking"] = ["Federation.Samples"],
        ["mnist"] = ["Federation.Samples"],
    };

    [Fact]
    public void Projects_ReferenceOnlyWhatTheTableAllows()
    {
        string root = Repository.Root;
        string[] projects = [.. new[] { "src", "samples" }.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(root, folder), "*.csproj", SearchOption.AllDirectories))];
        Assert.Equal(Allowed.Keys.Order(), projects.Select(project => Path.GetFileNameWithoutExtension(project)).Order());
        foreach (string project in projects)
        {
            string name = Path.GetFileNameWithoutExtension(project);
            foreach (string reference in ReferencesOf(project)) Assert.True(Allowed[name].Contains(reference), $"{name} must not reference {reference}.");
        }
    }

    [Theory] // Also what comes with a reference of a reference
    [InlineData("Federation.Server", "TorchSharp")]
    [InlineData("Federation.Server", "Federation.Learning")]
    [InlineData("Federation.Protocol", "TorchSharp")]
    [InlineData("Federation.Formats", "Grpc.Net.Client")]
    [InlineData("Federation.Learning", "Grpc.Net.Client")]
    [InlineData("Privacy", "Grpc.Net.Client")]
    public void Project_DoesNotReachWhatItMustNot(string project, string forbidden)
    {
        string root = Repository.Root;
        Queue<string> open = new([Path.Combine(root, "src", project, project + ".csproj")]);
        HashSet<string> reached = [];
        while (open.TryDequeue(out string? path))
        {
            foreach (string reference in ReferencesOf(path))
            {
                if (reached.Add(reference) && File.Exists(Path.Combine(root, "src", reference, reference + ".csproj"))) open.Enqueue(Path.Combine(root, "src", reference, reference + ".csproj"));
            }
        }

        Assert.DoesNotContain(forbidden, reached);
    }

    [Fact]
    public void Projects_AreAllInTheSolution()
    {
        string root = Repository.Root, solution = File.ReadAllText(Path.Combine(root, "Federated.sln")).Replace('\\', '/');
        foreach (string project in new[] { "src", "samples", "tests", "bench" }.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(root, folder), "*.csproj", SearchOption.AllDirectories)))
        {
            Assert.Contains(Path.GetRelativePath(root, project).Replace('\\', '/'), solution);
        }
    }

    private static IEnumerable<string> ReferencesOf(string project)
    {
        foreach (XElement element in XDocument.Load(project).Descendants())
        {
            string? include = element.Attribute("Include")?.Value;
            if (include is null) continue;
            if (element.Name.LocalName == "ProjectReference") yield return Path.GetFileNameWithoutExtension(include);
            if (element.Name.LocalName is "PackageReference" or "FrameworkReference") yield return include;
        }
    }
}
