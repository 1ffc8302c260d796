using System.Runtime.InteropServices;
using Federation.Protocol.Identity;
using Federation.Server.Aggregation;

namespace Federation.Server.Strategies;

/// <summary>What a run's strategy keeps from round to round, one file for each round that changed the model: the numbers of each coordinate together, float32, little-endian.</summary>
/// <param name="folder">Of the coordinator's state.</param>
public sealed class StrategyFiles(string folder)
{
    /// <param name="last">The round whose file is the newest that counts; 0: none does yet.</param>
    /// <param name="round">Whose file is written.</param>
    /// <param name="values">Of the model.</param>
    /// <returns>Null: the strategy keeps nothing.</returns>
    /// <exception cref="AggregationException">The file of the last round is gone, or of another model or strategy.</exception>
    internal StrategyState? Open(string runId, Strategy strategy, int last, int round, long values)
    {
        if (strategy.StateValues == 0) return null;
        PrivateFile.CreateFolder(Path.Combine(folder, runId));
        string from = PathOf(runId, last), to = PathOf(runId, round);
        FileStream? earlier = null;
        if (last > 0)
        {
            if (!File.Exists(from)) throw new IOException($"What the strategy kept from round {last} is gone: {from}.");
            earlier = new FileStream(from, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
            if (earlier.Length != values * strategy.StateValues * sizeof(float))
            {
                earlier.Dispose();
                throw new IOException($"What the strategy kept from round {last} has {new FileInfo(from).Length} bytes; {values * strategy.StateValues * sizeof(float)} are right: {from}.");
            }
        }

        return new StrategyState(strategy, earlier, to);
    }

    /// <summary>Removes the files of all rounds but this.</summary>
    public void Keep(string runId, int round)
    {
        var run = new DirectoryInfo(Path.Combine(folder, runId));
        if (!run.Exists) return;
        foreach (FileInfo file in run.EnumerateFiles().Where(file => file.FullName != PathOf(runId, round))) file.Delete();
        if (round == 0) run.Delete();
    }

    private string PathOf(string runId, int round) => Path.GetFullPath(Path.Combine(folder, runId, FormattableString.Invariant($"{round}")));
}

/// <summary>The state of one round on its way into that of the next. Durable when kept, gone when disposed without.</summary>
internal sealed class StrategyState : IDisposable
{
    private readonly Strategy _strategy;
    private readonly FileStream? _earlier;
    private readonly FileStream _next;
    private readonly string _path;
    private readonly float[] _block;

    /// <param name="earlier">Null: there was no round before.</param>
    internal StrategyState(Strategy strategy, FileStream? earlier, string path)
    {
        (_strategy, _earlier, _path) = (strategy, earlier, path);
        _next = new FileStream(path + ".new", FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        _block = new float[NextModel.BlockLength * strategy.StateValues];
    }

    /// <summary>Of the next coordinates, to be changed in place and written.</summary>
    public Span<float> Read(int coordinates)
    {
        Span<float> state = _block.AsSpan(0, coordinates * _strategy.StateValues);
        if (_earlier is not null)
        {
            _earlier.ReadExactly(MemoryMarshal.AsBytes(state));
        }
        else
        {
            state.Clear();
            _strategy.Start(state);
        }

        return state;
    }

    /// <exception cref="AggregationException">A number is not finite: a value of the mean was too large for the strategy.</exception>
    public void Write(ReadOnlySpan<float> state)
    {
        foreach (float value in state)
        {
            if (!float.IsFinite(value)) throw new AggregationException($"What the strategy would keep holds {value}: a coordinate of the mean is too large for it.");
        }

        _next.Write(MemoryMarshal.AsBytes(state));
    }

    public void Keep()
    {
        _next.Flush(flushToDisk: true);
        _next.Dispose();
        File.Move(_path + ".new", _path, overwrite: true);
    }

    public void Dispose()
    {
        _earlier?.Dispose();
        _next.Dispose();
        File.Delete(_path + ".new");
    }
}
