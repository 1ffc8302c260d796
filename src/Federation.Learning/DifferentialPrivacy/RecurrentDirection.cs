using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>A cell's two linear maps in one layer and direction: of the inputs (all steps at once) and of the state (step by step). Layer rules see two Linear, the second called once a step.</summary>
internal sealed class RecurrentDirection : nn.Module<Tensor, Tensor>
{
    private readonly Linear ih, hh; // the names of PyTorch's weights: weight_ih_l0 and so on

    public RecurrentDirection(long inputs, long hidden, int gates, bool hasBias)
        : base(nameof(RecurrentDirection))
    {
        (ih, hh) = (nn.Linear(inputs, gates * hidden, hasBias), nn.Linear(hidden, gates * hidden, hasBias));
        double bound = 1 / Math.Sqrt(hidden); // as torch.nn.LSTM and GRU begin
        foreach (Parameter parameter in (Parameter[])[ih.weight!, hh.weight!, .. hasBias ? (Parameter[])[ih.bias!, hh.bias!] : []]) nn.init.uniform_(parameter, -bound, bound);
        RegisterComponents();
    }

    /// <summary>[B, T, inputs] → [B, T, gates·hidden]</summary>
    public override Tensor forward(Tensor input) => ih.call(input);

    /// <summary>[B, hidden] → [B, gates·hidden]</summary>
    public Tensor OfState(Tensor state) => hh.call(state);

    /// <summary>PyTorch's names of the weights, such as weight_ih_l1_reverse, with the tensors.</summary>
    public IEnumerable<(string Name, Tensor Weight)> Named(string suffix)
    {
        foreach ((string name, Parameter weight) in named_parameters())
        {
            string[] path = name.Split('.');
            yield return ($"{path[1]}_{path[0]}{suffix}", weight);
        }
    }
}
