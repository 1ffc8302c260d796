using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>One forward call of a layer in a batch.</summary>
/// <param name="Input">[B, …], without its graph.</param>
/// <param name="OutputGradient">Of the summed losses, [B, …]; row b belongs to record b.</param>
public sealed record LayerCall(Tensor Input, Tensor OutputGradient);

/// <summary>
/// What a layer's parameters contribute in one batch: norms of the units' gradients, and sums of the scaled ones, if possible without ever holding a gradient for each unit.
/// Both must be of the same gradients: the sum may not hold more of a unit than its norm says.
/// </summary>
public abstract class GradientPart
{
    /// <summary>‖g_u‖² over the parameters of this part: float32, [U].</summary>
    public abstract Tensor SquaredNorms();

    /// <summary>Adds Σ_u factors_u·g_u.</summary>
    /// <param name="factors">[U]</param>
    /// <param name="sums">Where the sum of a parameter, by its name in the module, is gathered; of the parameter's shape.</param>
    public abstract void AddSum(Tensor factors, Func<string, Tensor> sums);
}

/// <summary>Gradients that are held for each unit: of small parameters, and of modules without a rule.</summary>
/// <param name="perUnit">[U, …parameter's shape].</param>
public sealed class MaterialisedPart(string parameter, Tensor perUnit) : GradientPart
{
    private readonly Tensor _rows = perUnit.reshape(perUnit.shape[0], -1);

    public override Tensor SquaredNorms() => RowNorms.Squared(_rows);

    public override void AddSum(Tensor factors, Func<string, Tensor> sums)
    {
        Tensor sum = sums(parameter);
        sum.add_(factors.unsqueeze(0).mm(_rows).view(sum.shape), LastingScalars.One);
    }
}

/// <summary>Squared norms of rows.</summary>
internal static class RowNorms
{
    /// <summary>[U, P] → [U]. The reduction holds no squares in memory.</summary>
    public static Tensor Squared(Tensor rows) => rows.norm(1, false, 2f).Squared();
}
