using Federation.Formats.Runs;
using Federation.Learning.DataSets;

namespace Federation.Simulation.Tests;

public sealed class PartitionFilesTests
{
    [Fact]
    public void Write_Partition_LeavesWhatDealsItOutAgain()
    {
        using var folder = new TemporaryFolder();
        SimulationInput input = Simulations.Input(Simulations.Plain);
        PartitionFiles.Write(folder.Path, input);
        Partition again = Partitioner.Divide(new PartitionSpec(PartitionKind.File) { Path = PartitionFiles.Indices }, input.Train, 24, 1, folder.Path).Partition;
        Assert.Equal(input.Partition.Clients, again.Clients);
        string[] lines = File.ReadAllLines(Path.Combine(folder.Path, PartitionFiles.Table));
        Assert.Equal(25, lines.Length);
        Assert.Equal("client,examples,label0,label1,label2", lines[0]);
        Assert.Equal("0,15,5,5,5", lines[1]);
        byte[] picture = File.ReadAllBytes(Path.Combine(folder.Path, PartitionFiles.Plot));
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], picture[..4]);
    }
}
