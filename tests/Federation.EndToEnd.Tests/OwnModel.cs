// A whole program of one's own: model, data and loss, in a federation. docs/own-model.md shows it verbatim, and OwnModelTests runs it.
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Learning;
using Federation.Learning.Models;
using Microsoft.Extensions.Logging.Abstractions;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.EndToEnd.Tests;

internal sealed class Net : nn.Module<Tensor, Tensor>
{
    private readonly Linear _hidden = nn.Linear(4, 16), _output = nn.Linear(16, 1);

    public Net() : base("net") => RegisterComponents();

    public override Tensor forward(Tensor x) => _output.call(nn.functional.tanh(_hidden.call(x)));
}

internal static class OwnModel
{
    // Once, by the operator: the weights that the run spec names as `initial`.
    public static void WriteInitial(string path) => ModuleState.Of(new Net()).Save(path);

    // At each site.
    public static async Task<NodeOutcome> RunAsync(NodeConfiguration node, CancellationToken stop)
    {
        Tensor x = randn(256, 4), y = x.sum(new long[] { 1 }, keepdim: true).tanh(); // your own records
        using var learner = new ModuleLearner(() => new Net(), new Examples(x, y), (output, target) => nn.functional.mse_loss(output, target));
        return await FederatedNode.RunAsync(new NodeOptions { Configuration = node, ExitAfterRun = true }, learner, NullLoggerFactory.Instance, stop);
    }
}
