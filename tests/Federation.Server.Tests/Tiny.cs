using Federation.Formats.Models;
using Federation.Protocol;
using Grpc.Core;

namespace Federation.Server.Tests;

/// <summary>Models of a few numbers, and what the coordinator says about them.</summary>
internal static class Tiny
{
    public static ModelState Model(params float[] values) => Update(values.Length == 0 ? [0, 0, 0, 0] : values);

    /// <param name="values">Three weights and a bias.</param>
    public static ModelState Update(params float[] values) => new([new NamedTensor("weight", [1, 3], values[..3]), new NamedTensor("bias", [1], values[3..])]);

    /// <summary>One tensor of this many values, all the same.</summary>
    public static ModelState Large(int count, float value = 0)
    {
        float[] values = new float[count];
        Array.Fill(values, value);
        return new ModelState([new NamedTensor("w", [count], values)]);
    }

    public static string Spec(int rounds = 2, int least = 3, string sites = "all", string extra = "", string deadline = "60s") => $$"""
        name: tiny
        model: { kind: custom, initial: tiny.safetensors }
        rounds: {{rounds}}
        seed: 1
        cohort: { sites: {{sites}}, minContributors: {{least}}, deadline: {{deadline}} }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 1 }
        secureAggregation: none
        privacy: none
        {{extra}}
        """;

    public static IReadOnlyList<float> Values(ModelState model) => [.. model.Tensors.SelectMany(tensor => tensor.Values)];

    /// <summary>The call is refused for this reason, with a sentence that names what is asked for.</summary>
    public static async Task<RpcException> RefusedAsync(Refusal reason, StatusCode code, Func<Task> call, string says = "")
    {
        RpcException error = await Assert.ThrowsAsync<RpcException>(call);
        Assert.Equal((reason, code), (RpcError.ReasonOf(error), error.StatusCode));
        Assert.Contains(says, error.Status.Detail, StringComparison.Ordinal);
        return error;
    }
}
