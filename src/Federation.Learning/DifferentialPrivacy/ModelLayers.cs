using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>The modules of a model that have trained parameters of their own.</summary>
internal static class ModelLayers
{
    public static IReadOnlyList<Layer> Of(nn.Module model, GradientBuffer sums)
    {
        List<Layer> layers = [];
        foreach ((string path, nn.Module module) in Modules(model))
        {
            Dictionary<string, string> own = [];
            foreach ((string name, _) in RecordByRecordRule.Own(module))
            {
                string full = path.Length == 0 ? name : $"{path}.{name}";
                if (sums.Holds(full)) own[name] = full;
            }

            if (own.Count > 0) layers.Add(new(path.Length == 0 ? module.GetName() : path, module, own));
        }

        return layers;
    }

    /// <summary>The model and all modules in it, each once, with their paths.</summary>
    public static IEnumerable<(string Path, nn.Module Module)> Modules(nn.Module model) =>
        model.named_modules().Select(entry => (Path: entry.name, Module: entry.module)).Prepend((Path: "", Module: model)).DistinctBy(entry => entry.Module);

    /// <summary>Why book-keeping cannot be used; null if it can.</summary>
    public static string? Unsupported(IReadOnlyList<Layer> layers) =>
        layers.FirstOrDefault(layer => layer.Module is not nn.Module<Tensor, Tensor>) is { } layer ? $"'{layer.Name}' ({layer.Module.GetName()}) does not map one tensor to one. {Advice(layer.Module)}" : null;

    private static string Advice(nn.Module module) => module switch
    {
        TorchSharp.Modules.LSTM => "DpLstm.From makes a module with its weights that is fast.",
        TorchSharp.Modules.GRU => "DpGru.From makes a module with its weights that is fast.",
        _ => "Put its parameters into modules that do, such as Linear.",
    };
}
