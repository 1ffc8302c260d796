using Federation.Formats;
using TorchSharp;

namespace Federation.Learning;

/// <summary>Where tensors live, by the names that <c>--device</c> and <c>node.yaml</c> take.</summary>
public static class TorchDevice
{
    /// <param name="name"><c>cpu</c>, <c>cuda</c> (the first) or <c>cuda:N</c>.</param>
    /// <exception cref="InvalidInputException">The name is unknown, or this machine or build has no such device; says which there are.</exception>
    public static torch.Device Parse(string name)
    {
        if (name == "cpu") return torch.CPU;
        if (name != "cuda" && !(name.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(5), System.Globalization.NumberStyles.None, null, out _)))
        {
            throw new InvalidInputException(new Problem($"'{name}' is no device.", Field: "device", Repair: "cpu, cuda or cuda:0 is right."));
        }

        int index = name == "cuda" ? 0 : int.Parse(name.AsSpan(5), System.Globalization.CultureInfo.InvariantCulture);
        int count = torch.cuda_is_available() ? torch.cuda.device_count() : 0;
        if (index >= count)
        {
            string present = count == 0 ? "This build and machine have none but cpu" : $"This machine has cpu and cuda:0 to cuda:{count - 1}";
            throw new InvalidInputException(new Problem($"There is no device '{name}'. {present}.", Field: "device", Repair: "CUDA needs an NVIDIA GPU with its driver, and a build with -p:Torch=cuda."));
        }

        return new torch.Device(DeviceType.CUDA, index);
    }

    /// <summary>Threads that one operation may use; several nodes on one machine share its cores. Part of what makes a run repeatable.</summary>
    public static void SetThreads(int count) => torch.set_num_threads(count);
}
