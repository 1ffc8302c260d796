using Federation.Formats;
using Grpc.Core;

namespace Federation.Protocol.Tests;

public sealed class RpcErrorTests
{
    [Fact]
    public void Describe_Refusal_GivesBackReasonFieldAndRepair()
    {
        RpcException error = RpcError.Refuse(StatusCode.InvalidArgument, Refusal.BadWeight, "The weight 0 is not positive.", "weight", "Send the number of examples.");
        Assert.True(RpcError.Is(error, Refusal.BadWeight));
        Problem problem = Assert.Single(RpcError.Describe(error));
        Assert.Equal(new Problem("The weight 0 is not positive.", Field: "weight", Repair: "Send the number of examples."), problem);
    }

    [Fact]
    public void Describe_SeveralProblems_KeepsFilesAndLines()
    {
        Problem[] problems = [new("unknown field", "run.yaml", 3, "roundz", "Write 'rounds'."), new("missing", "run.yaml", 1, "name")];
        Assert.Equal(problems, RpcError.Describe(RpcError.Refuse(StatusCode.InvalidArgument, Refusal.Invalid, problems)));
    }

    [Fact]
    public void Describe_PlainStatus_StillSaysSomething()
    {
        Problem problem = Assert.Single(RpcError.Describe(new RpcException(new Status(StatusCode.Unavailable, "refused"))));
        Assert.Contains("cannot be reached", problem.Message);
        Assert.Null(RpcError.ReasonOf(new RpcException(new Status(StatusCode.Internal, "x"))));
    }
}
