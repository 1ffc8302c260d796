using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>The modules of a model that have trained parameters of their own.</summary>
internal static class ModelLayers
{
    public static IReadOnlyList<Layer> Of(nn.Module model, GradientBuffer sums)
    {
        List<Layer> layers = [];
        foreach ((string path, nn.Module module) in model.named_modules().Select(entry => (entry.name, entry.module)).Prepend(("", model)).DistinctBy(entry => entry.Item2))
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

    /// <summary>Why book-keeping cannot be used; null if it can.</summary>
    public static string? Unsupported(IReadOnlyList<Layer> layers) =>
        layers.FirstOrDefault(layer => layer.Module is not nn.Module<Tensor, Tensor>) is { } layer ? $"'{layer.Name}' ({layer.Module.GetName()}) does not map one tensor to one." : null;
}
