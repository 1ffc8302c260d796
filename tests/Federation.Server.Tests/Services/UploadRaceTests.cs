using Federation.Formats.Models;
using Federation.Protocol;
using Federation.Server.Runs;
using Grpc.Core;

namespace Federation.Server.Tests.Services;

public sealed class UploadRaceTests
{
    /// <summary>A large update is being checked when the same site announces another: what is counted must stay what is on disk, or the sum fails for all.</summary>
    [Fact]
    public async Task Begin_WhileTheSitesUpdateIsBeingChecked_LeavesTheCountedOneAlone()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b");
        ModelState model = Tiny.Large(6_000_000), update = Tiny.Large(6_000_000, 1), other = Tiny.Large(6_000_000, 2);
        string run = await test.OpenRoundAsync(nodes, model, Tiny.Spec(rounds: 1, least: 2));
        byte[] bytes = update.ToBytes();
        await nodes[0].BeginAsync(run, 1, model.Sha256, bytes);
        string otherHash = other.Sha256;
        Task<V1.UploadReply> sending = nodes[0].SendAsync(run, 1, bytes);
        string path = Path.Combine(test.Folder.Spool, run, "1", "a");
        while (!File.Exists(path) || new FileInfo(path).Length < bytes.Length) await Task.Delay(1, TestContext.Current.CancellationToken);
        try
        {
            await nodes[0].Client.BeginUploadAsync(new V1.BeginUploadRequest { RunId = run, Round = 1, ModelSha256 = model.Sha256, UpdateSha256 = otherHash, Size = (ulong)bytes.Length, Weight = 1 });
            Assert.Fail("Either the first is counted, and no other is taken, or the check has not begun.");
        }
        catch (RpcException error)
        {
            Assert.Equal(Refusal.AlreadyContributed, RpcError.ReasonOf(error));
        }

        await sending;
        await nodes[1].ContributeAsync(run, update);
        await test.SummedAsync(run);
        Assert.Equal((RunEnd.Completed, update.Sha256), (Assert.IsType<Ended>(test.StateOf(run).Phase).How, test.StateOf(run).ModelSha256));
    }
}
