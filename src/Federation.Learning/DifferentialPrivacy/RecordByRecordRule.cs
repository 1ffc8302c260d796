using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>For any module that takes and gives one tensor: it is run again on each record alone, and its own parameters' gradients follow from the output's. The slow and plain twin of every rule.</summary>
internal static class RecordByRecordRule
{
    public static IReadOnlyList<GradientPart> Parts(LayerCalls<nn.Module> calls)
    {
        var module = (nn.Module<Tensor, Tensor>)calls.Module;
        (string Name, Tensor Parameter)[] trained = [.. Own(module).Where(parameter => calls.Trains(parameter.Name))];
        return LayerRules.Materialised(calls.Calls.Select(call => Gradients(module, trained, call)), calls.Units, calls.Trains);
    }

    /// <summary>The module's parameters without its children's.</summary>
    internal static IEnumerable<(string Name, Tensor Parameter)> Own(nn.Module module) =>
        module is TorchSharp.Modules.Sequential ? [] : module.named_parameters(recurse: false).Select(parameter => (parameter.name, (Tensor)parameter.parameter));

    private static Dictionary<string, Tensor> Gradients(nn.Module<Tensor, Tensor> module, (string Name, Tensor Parameter)[] trained, LayerCall call)
    {
        List<Tensor>[] rows = [.. trained.Select(_ => new List<Tensor>())];
        Tensor[] parameters = [.. trained.Select(parameter => parameter.Parameter)];
        using IDisposable outer = NewDisposeScope();
        for (long record = 0; record < call.Input.shape[0]; record++)
        {
            using IDisposable scope = NewDisposeScope();
            Tensor output = module.forward(call.Input.slice(0, record, record + 1, 1));
            IList<Tensor> gradients = autograd.grad([output], parameters, [call.OutputGradient.slice(0, record, record + 1, 1)], allow_unused: true);
            for (int i = 0; i < parameters.Length; i++) rows[i].Add((gradients[i] is { IsInvalid: false } gradient ? gradient.unsqueeze(0) : zeros_like(parameters[i]).unsqueeze(0)).MoveToOuterDisposeScope());
        }

        return trained.Select((parameter, i) => (parameter.Name, Rows: cat(rows[i]).MoveToOuterDisposeScope())).ToDictionary(pair => pair.Name, pair => pair.Rows);
    }
}
