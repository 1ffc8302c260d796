namespace Federation.Learning.DataSets;

/// <summary>Another set's examples, each changed as its client is.</summary>
public abstract class ChangedExamples : ExampleSet
{
    private readonly ExampleSet _set;
    private readonly int[] _clients;

    private protected ChangedExamples(ExampleSet set, Partition partition)
    {
        _set = set;
        _clients = new int[set.Count];
        Array.Fill(_clients, -1);
        foreach ((int client, IReadOnlyList<int> part) in partition.Clients.Index())
        {
            foreach (int index in part) _clients[index] = client;
        }
    }

    public override string Name => _set.Name;

    public override int Count => _set.Count;

    public override IReadOnlyList<int> Shape => _set.Shape;

    public override int Classes => _set.Classes;

    public override IReadOnlyList<string>? Groups => _set.Groups;

    public override int Label(int index) => _set.Label(index);

    public override void Read(int index, Span<float> values)
    {
        _set.Read(index, values);
        if (_clients[index] is >= 0 and var client) Change(index, client, values);
    }

    private protected abstract void Change(int index, int client, Span<float> values);
}
