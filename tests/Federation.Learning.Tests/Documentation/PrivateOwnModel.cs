// docs/own-model.md shows it verbatim.
using Federation.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.Documentation;

internal static class PrivateOwnModel
{
    /// <param name="patients">Whose each record is; needed for unit: person alone.</param>
    public static ModuleLearner Learner(Func<nn.Module<Tensor, Tensor>> model, Tensor x, Tensor y, string[] patients) => new(
        model, new Examples(x, y),
        loss: (output, target) => nn.functional.mse_loss(output, target), // for runs without differential privacy
        recordLosses: (output, target) => (output - target).square().mean(new long[] { 1 }), // [B]: each record's own
        persons: patients);
}
