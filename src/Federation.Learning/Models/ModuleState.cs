using Federation.Formats.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Models;

/// <summary>A module's parameters and buffers as a model state and back. Never a part of one: what is missing, unknown or re-shaped is refused.</summary>
public static class ModuleState
{
    // BatchNorm counts its batches in an int64; the count is each site's own and not averaged.
    private const string LocalCounter = "num_batches_tracked";

    /// <summary>Copies the module's float32 state.</summary>
    /// <exception cref="LearningException">The module holds state of another type.</exception>
    public static ModelState Of(nn.Module module)
    {
        using IDisposable scope = NewDisposeScope();
        List<NamedTensor> tensors = [];
        foreach ((string name, Tensor tensor) in Entries(module))
        {
            tensors.Add(new NamedTensor(name, tensor.shape, tensor.detach().cpu().contiguous().data<float>().ToArray()));
        }

        return new ModelState(tensors);
    }

    /// <summary>Copies a state into the module, which keeps its device.</summary>
    /// <exception cref="LearningException">The layouts differ; names every difference.</exception>
    public static void Load(nn.Module module, ModelState state)
    {
        RequireLayout(module, state);
        using IDisposable scope = NewDisposeScope();
        using IDisposable noGrad = no_grad();
        Dictionary<string, NamedTensor> values = state.Tensors.ToDictionary(tensor => tensor.Name);
        foreach ((string name, Tensor target) in Entries(module))
        {
            target.copy_(tensor(values[name].Values, target.shape));
        }
    }

    /// <exception cref="LearningException">The layouts differ; names every difference.</exception>
    public static void RequireLayout(nn.Module module, ModelState state)
    {
        IReadOnlyList<string> differences = Differences(module, state);
        if (differences.Count > 0) throw new LearningException($"The model does not fit: {string.Join(" ", differences)}");
    }

    /// <summary>What makes the state another model than the module, a sentence each.</summary>
    public static IReadOnlyList<string> Differences(nn.Module module, ModelState state)
    {
        var expected = SafetensorsHeader.Float32(Entries(module).Select(entry => (entry.Name, (IReadOnlyList<long>)entry.Tensor.shape)));
        return state.Header.DifferencesFrom(expected);
    }

    private static IEnumerable<(string Name, Tensor Tensor)> Entries(nn.Module module)
    {
        foreach ((string name, Tensor tensor) in module.state_dict())
        {
            if (name.Split('.')[^1] == LocalCounter) continue;
            if (tensor.dtype != ScalarType.Float32) throw new LearningException($"'{name}' is {tensor.dtype}; only float32 parameters and buffers can be averaged over sites.");
            yield return (name, tensor);
        }
    }
}
