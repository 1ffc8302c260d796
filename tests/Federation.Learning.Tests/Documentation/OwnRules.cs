// docs/dp-training.md shows it verbatim.
using Federation.Learning.DifferentialPrivacy;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.Documentation;

/// <summary>[B, inputs] → [B, outputs]: x·W.</summary>
internal sealed class Projection : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;

    public Projection(long inputs, long outputs)
        : base(nameof(Projection))
    {
        weight = nn.Parameter(randn(inputs, outputs));
        RegisterComponents();
    }

    public override Tensor forward(Tensor input) => input.mm(weight);
}

internal static class OwnRules
{
    /// <summary>Each record's gradient outright, [B, inputs, outputs] by the parameter's name in the module.</summary>
    public static LayerRules PerRecord()
    {
        LayerRules rules = new();
        rules.RegisterPerRecord<Projection>((module, call) => new Dictionary<string, Tensor> { ["weight"] = call.Input.unsqueeze(2).bmm(call.OutputGradient.unsqueeze(1)) });
        return rules;
    }

    /// <summary>Norms and the scaled sum, without a gradient for each unit.</summary>
    public static LayerRules WithoutHolding()
    {
        LayerRules rules = new();
        rules.Register<Projection>(calls => [new ProjectionPart(calls)]);
        return rules;
    }

    private sealed class ProjectionPart(LayerCalls<Projection> calls) : GradientPart
    {
        // [U, T, ·]: a unit's records, and the calls of one batch, are T places whose products add up.
        private readonly Tensor _inputs = calls.Units.Concatenate(stack([.. calls.Calls.Select(call => call.Input)], 1)), _gradients = calls.Units.Concatenate(stack([.. calls.Calls.Select(call => call.OutputGradient)], 1));

        // ‖Σ_t x_t·g_tᵀ‖² = Σ_st (x_s·x_t)(g_s·g_t), in double precision, because places may cancel.
        public override Tensor SquaredNorms()
        {
            Tensor x = _inputs.to(ScalarType.Float64), g = _gradients.to(ScalarType.Float64);
            return (x.bmm(x.transpose(1, 2)) * g.bmm(g.transpose(1, 2))).sum(new long[] { 1, 2 }).clamp_min(0).to(ScalarType.Float32);
        }

        public override void AddSum(Tensor factors, Func<string, Tensor> sums)
        {
            Tensor scaled = (_inputs * factors.view(-1, 1, 1)).reshape(-1, _inputs.shape[2]);
            sums("weight").add_(scaled.t().mm(_gradients.reshape(-1, _gradients.shape[2])));
        }
    }
}
