using System.Security.Cryptography;
using System.Text.Json;

namespace Federation.Cli.Tests;

/// <summary>A run from the submitter's key to the co-signer's, by the command line alone.</summary>
public sealed class ApprovalVerbTests : IAsyncDisposable
{
    private readonly Workspace _workspace = new();
    private readonly List<Fed> _processes = [];
    private string _operators = "";

    public async ValueTask DisposeAsync()
    {
        foreach (Fed process in _processes) await process.DisposeAsync();
        _workspace.Dispose();
    }

    [Fact]
    public async Task Approve_ARunThatTwoSitesWaitFor_IsTrained()
    {
        WriteKey("study.key");
        WriteKey("board.key");
        JsonElement study = await KeyAsync("study.key"), board = await KeyAsync("board.key");
        await StartAsync($"submitters: [ {{ name: study, key: \"sha256:{Hash(study)}\" }} ]\ncosigners: {{ keys: [ {{ name: Ethics board, key: \"sha256:{Hash(board)}\" }} ] }}\n");

        FedResult check = await Fed.RunAsync(_workspace.Folder, ["node", "policy", "check", "run.yaml", "--config", "alpha.yaml", "--json"]);
        await OutputSchema.AssertValidAsync("node-policy-check", check.Output);
        Assert.Equal((0, 1), (check.ExitCode, check.Json.GetProperty("signatures").GetProperty("cosignersRequired").GetInt32()));
        string spec = check.Json.GetProperty("specSha256").GetString()!;
        Assert.Contains((await Fed.RunAsync(_workspace.Folder, ["node", "policy", "check", "run.yaml", "--config", "alpha.yaml"])).OutputLines, line => line.StartsWith("It has to be co-signed by 1 of 'Ethics board'", StringComparison.Ordinal));

        FedResult submitted = await OperateAsync("run", "submit", "run.yaml", "--key", "study.key", "--json");
        await OutputSchema.AssertValidAsync("run-submit", submitted.Output);
        Assert.Equal((spec, Hash(study)), (submitted.Json.GetProperty("specSha256").GetString(), submitted.Json.GetProperty("keySha256").GetString()));
        await using (Fed watch = Fed.Start(_workspace.Folder, ["run", "watch", "latest", "--json", "--coordinator", _operators, "--state", "coordinator"]))
        {
            foreach (string site in new[] { "alpha", "beta" }) await watch.LineAsync(line => line.Contains($"\"{site} waits: This site waits for co-signatures: 0 of 1", StringComparison.Ordinal));
        }

        FedResult shown = await OperateAsync("run", "approve", "latest", "--show");
        Assert.Contains($"Spec sha256:{spec}", shown.OutputLines[1], StringComparison.Ordinal);
        Assert.Contains("  rounds: 4", shown.OutputLines);
        Assert.Contains("  testFraction: 0.25", shown.OutputLines);
        FedResult other = await OperateAsync("run", "approve", "latest", "--spec", $"sha256:{new string('0', 64)}", "--key", "board.key");
        Assert.Equal(2, other.ExitCode);
        Assert.Contains("Nothing was signed", other.Error, StringComparison.Ordinal);
        FedResult approved = await OperateAsync("run", "approve", "latest", "--spec", $"sha256:{spec}", "--key", "board.key", "--json");
        Assert.Equal((0, ""), (approved.ExitCode, approved.Error));
        await OutputSchema.AssertValidAsync("run-approve", approved.Output);
        Assert.Equal(Hash(board), approved.Json.GetProperty("signedWith").GetString());

        Assert.Equal(0, (await OperateAsync("run", "watch", "latest")).ExitCode);
        FedResult show = await OperateAsync("run", "show", "latest", "--json");
        await OutputSchema.AssertValidAsync("run-show", show.Output);
        JsonElement submission = show.Json.GetProperty("submission");
        Assert.Equal((spec, Hash(study), Hash(board)), (submission.GetProperty("specSha256").GetString(), submission.GetProperty("keySha256").GetString(), submission.GetProperty("approvals").EnumerateArray().Single().GetString()));
        Assert.Contains($"Co-signed with the key sha256:{Hash(board)}", (await OperateAsync("run", "show", "latest")).OutputLines);
    }

    [Fact] // the operator's own certificate signs where no key is named
    public async Task Key_OfTheCredential_IsTheOneThatRunsAreSignedWith()
    {
        await Fed.RunAsync(_workspace.Folder, ["server", "init", "--state", "coordinator"]);
        FedResult key = await Fed.RunAsync(_workspace.Folder, ["operator", "key", "--state", "coordinator", "--json"]);
        await OutputSchema.AssertValidAsync("operator-key", key.Output);
        Assert.Equal(12, key.Json.GetProperty("words").GetString()!.Split('-').Length);
        _processes.Add(Fed.Start(_workspace.Folder, ["server", "--state", "coordinator", "--nodes", "127.0.0.1:0", "--operators", "127.0.0.1:0", "--json"]));
        _operators = JsonDocument.Parse(await _processes[^1].FirstLineAsync()).RootElement.GetProperty("operators").GetString()!;
        Assert.Equal(Hash(key.Json), (await OperateAsync("run", "submit", "run.yaml", "--json")).Json.GetProperty("keySha256").GetString());
        // A token signs nothing by itself.
        FedResult token = await OperateAsync("operator", "issue", "ann", "--role", "operator", "--token", "-o", "token");
        Assert.Equal(0, token.ExitCode);
        FedResult unsigned = await Fed.RunAsync(_workspace.Folder, ["run", "submit", "run.yaml", "--json", "--coordinator", _operators, "--credential", "token"]);
        await OutputSchema.AssertValidAsync("run-submit", unsigned.Output);
        Assert.Equal(JsonValueKind.Null, unsigned.Json.GetProperty("keySha256").ValueKind);
        Assert.Contains("name your key's file with --key", (await Fed.RunAsync(_workspace.Folder, ["run", "approve", "latest", "--coordinator", _operators, "--credential", "token"])).Error, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("", "no private key on P-256")]
    [InlineData("curve", "not on the curve P-256")]
    [InlineData("public", "no private key on P-256")]
    [InlineData("encrypted", "encrypted")]
    public async Task Key_AFileThatHoldsNone_SaysWhatWouldBeRight(string kind, string says)
    {
        using var key = ECDsa.Create(kind == "curve" ? ECCurve.NamedCurves.nistP384 : ECCurve.NamedCurves.nistP256);
        var parameters = new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000);
        _workspace.Write("wrong.key", kind switch { "" => "nothing", "curve" => key.ExportPkcs8PrivateKeyPem(), "public" => key.ExportSubjectPublicKeyInfoPem(), _ => key.ExportEncryptedPkcs8PrivateKeyPem("secret", parameters) });
        FedResult result = await Fed.RunAsync(_workspace.Folder, ["operator", "key", "--key", "wrong.key", "--json"]);
        Assert.Equal(2, result.ExitCode);
        JsonElement error = JsonDocument.Parse(result.Error).RootElement.GetProperty("error");
        Assert.Contains(says, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal("wrong.key", error.GetProperty("file").GetString());
        Assert.Contains("openssl genpkey", error.GetProperty("repair").GetString(), StringComparison.Ordinal);
    }

    private async Task StartAsync(string policy)
    {
        await Fed.RunAsync(_workspace.Folder, ["server", "init", "--state", "coordinator"]);
        _processes.Add(Fed.Start(_workspace.Folder, ["server", "--state", "coordinator", "--nodes", "127.0.0.1:0", "--operators", "127.0.0.1:0", "--json"]));
        JsonElement started = JsonDocument.Parse(await _processes[^1].FirstLineAsync()).RootElement;
        _operators = started.GetProperty("operators").GetString()!;
        _workspace.Write("policy.yaml", policy);
        foreach ((int seed, string site) in new[] { "alpha", "beta" }.Index())
        {
            _workspace.WriteTable($"{site}.csv", seed);
            _workspace.Write($"{site}.yaml", $"coordinator: {started.GetProperty("nodes").GetString()}\nstate: {site}-state\npolicy: policy.yaml\ndata: [ {{ id: demo, path: {site}.csv }} ]\n");
            FedResult invited = await OperateAsync("site", "invite", site);
            await Fed.RunAsync(_workspace.Folder, ["node", "enroll", "--config", $"{site}.yaml"], input: invited.Output);
            _processes.Add(Fed.Start(_workspace.Folder, ["node", "--config", $"{site}.yaml"]));
        }
    }

    private Task<FedResult> OperateAsync(params string[] args) => Fed.RunAsync(_workspace.Folder, [.. args, "--coordinator", _operators, "--state", "coordinator"]);

    private void WriteKey(string file)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        _workspace.Write(file, key.ExportPkcs8PrivateKeyPem());
    }

    private async Task<JsonElement> KeyAsync(string file)
    {
        FedResult key = await Fed.RunAsync(_workspace.Folder, ["operator", "key", "--key", file, "--json"]);
        Assert.Equal((0, ""), (key.ExitCode, key.Error));
        await OutputSchema.AssertValidAsync("operator-key", key.Output);
        return key.Json;
    }

    private static string Hash(JsonElement key) => key.GetProperty("keySha256").GetString()!;
}
