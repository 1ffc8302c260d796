using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Federation.Benchmarks;

/// <summary>Repeated timings of one piece of work.</summary>
internal sealed record Measured(string Name, double First, double Median, double Least, double Cpu)
{
    /// <param name="repeats">After the first, which is reported apart: it compiles.</param>
    public static Measured Of(string name, int repeats, Action work)
    {
        double first = Once(work).Wall;
        (double Wall, double Cpu)[] times = [.. Enumerable.Range(0, repeats).Select(_ => Once(work)).OrderBy(time => time.Wall)];
        return new(name, first, times[repeats / 2].Wall, times[0].Wall, times.Select(time => time.Cpu).Order().ElementAt(repeats / 2));
    }

    public static void Print(IEnumerable<Measured> all)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Machine()}; milliseconds"));
        Console.WriteLine($"{"",-58}{"first",10}{"median",10}{"least",10}{"cpu",10}");
        foreach (Measured one in all) Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{one.Name,-58}{one.First,10:F2}{one.Median,10:F2}{one.Least,10:F2}{one.Cpu,10:F2}"));
    }

    private static (double Wall, double Cpu) Once(Action work)
    {
        TimeSpan cpu = Process.GetCurrentProcess().TotalProcessorTime;
        long start = Stopwatch.GetTimestamp();
        work();
        double wall = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        return (wall, (Process.GetCurrentProcess().TotalProcessorTime - cpu).TotalMilliseconds);
    }

    public static string Machine()
    {
        string model = File.Exists("/proc/cpuinfo") ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "?" : RuntimeInformation.OSArchitecture.ToString();
        string vectors = Avx512F.IsSupported ? "AVX-512" : Avx2.IsSupported ? "AVX2" : "no AVX2";
        return $"{model}, {Environment.ProcessorCount} cores, {vectors}, .NET {Environment.Version}";
    }
}
