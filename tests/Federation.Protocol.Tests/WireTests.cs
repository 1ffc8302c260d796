using Federation.Formats.Evaluation;
using Grpc.Core;

namespace Federation.Protocol.Tests;

public sealed class WireTests
{
    private static EvaluationSums Sums(ulong examples = 3)
    {
        ulong[] negative = new ulong[EvaluationSums.Bins], positive = new ulong[EvaluationSums.Bins];
        negative[10] = 2;
        positive[200] = 1;
        return new EvaluationSums { Examples = examples, Correct = 2, LogLossSum = 1.5, BrierSum = 0.5, NegativeHistogram = negative, PositiveHistogram = positive };
    }

    [Fact]
    public void ToDomain_OwnMessage_IsTheSame()
    {
        EvaluationSums back = Sums().ToMessage().ToDomain();
        Assert.Equal(Sums().ToMetrics(), back.ToMetrics());
        Assert.Equal(Sums().NegativeHistogram, back.NegativeHistogram);
    }

    public static TheoryData<string, Action<V1.EvaluationSums>> Contradictions => new()
    {
        { "more correct than examples", m => m.Correct = 4 },
        { "NaN", m => m.LogLossSum = double.NaN },
        { "infinite", m => m.BrierSum = double.PositiveInfinity },
        { "negative", m => m.LogLossSum = -1 },
        { "one histogram short", m => m.NegativeHistogram.RemoveAt(0) },
        { "histogram counts other examples", m => m.PositiveHistogram[0] = 1 },
        { "histogram overflows", m => { m.PositiveHistogram[0] = ulong.MaxValue; m.PositiveHistogram[1] = 1; } },
    };

    [Theory]
    [MemberData(nameof(Contradictions))]
    public void ToDomain_Contradiction_IsRefused(string what, Action<V1.EvaluationSums> change)
    {
        V1.EvaluationSums message = Sums().ToMessage();
        change(message);
        var error = Assert.Throws<RpcException>(() => message.ToDomain());
        Assert.True(error.StatusCode == StatusCode.InvalidArgument, what);
    }
}
