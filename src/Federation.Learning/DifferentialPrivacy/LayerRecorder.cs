using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>A module with trained parameters of its own.</summary>
internal sealed record Layer(string Name, nn.Module Module, IReadOnlyDictionary<string, string> Parameters);

/// <summary>A layer's input, and its output as a point of the graph whose gradient can be asked for.</summary>
internal sealed record RecordedCall(Layer Layer, Tensor Input, Tensor Output) : IDisposable
{
    public void Dispose()
    {
        Input.Dispose();
        Output.Dispose();
    }
}

/// <summary>Keeps what each layer got and gave in a forward pass, by forward hooks.</summary>
/// <remarks>What the module's caller gets is another tensor than the recorded output, because containers dispose of what they pass on. Asking autograd for the outputs' gradients alone computes none of the weights'.</remarks>
internal sealed class LayerRecorder : IDisposable
{
    private readonly List<IDisposable> _hooks = [];
    private readonly List<RecordedCall> _calls = [];
    private bool _recording;

    public LayerRecorder(IEnumerable<Layer> layers)
    {
        foreach (Layer layer in layers)
        {
            var module = (nn.Module<Tensor, Tensor>)layer.Module;
            _hooks.Add(new Hook(module.register_forward_hook((_, input, output) => Recorded(layer, input, output))));
        }
    }

    /// <summary>Whether outputs are copied before the model goes on with them: needed where it changes them in place.</summary>
    public bool CopiesOutputs { get; set; }

    /// <summary>The calls during the work, in order; the caller's to dispose.</summary>
    public (Tensor Result, IReadOnlyList<RecordedCall> Calls) Record(Func<Tensor> work)
    {
        _recording = true;
        try
        {
            Tensor result = work();
            return (result, [.. _calls]);
        }
        catch
        {
            foreach (RecordedCall call in _calls) call.Dispose();
            throw;
        }
        finally
        {
            _recording = false;
            _calls.Clear();
        }
    }

    public void Dispose()
    {
        foreach (IDisposable hook in _hooks) hook.Dispose();
    }

    private Tensor Recorded(Layer layer, Tensor input, Tensor output)
    {
        if (!_recording || !output.requires_grad) return output;
        _calls.Add(new(layer, input.detach().DetachFromDisposeScope(), output.DetachFromDisposeScope()));
        return CopiesOutputs ? output.clone() : output.alias();
    }

    private sealed class Hook(nn.HookableModule<Func<nn.Module<Tensor, Tensor>, Tensor, Tensor>, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor, Tensor>>.HookRemover remover) : IDisposable
    {
        public void Dispose() => remover.remove();
    }
}
