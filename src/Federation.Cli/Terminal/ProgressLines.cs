using Federation.Cli.Verbs;
using Federation.V1;

namespace Federation.Cli.Terminal;

/// <summary>A run's progress where there is no terminal: at most 20 lines, however long it is.</summary>
internal sealed class ProgressLines(RunProgress progress, Action<string> write)
{
    // 10 + 8 + 1, and one for the caller's verdict.
    private const uint Steps = 10;
    private const int MostNotices = 8;
    private uint _step;
    private int _notices;

    public void Show(RunEvent happened)
    {
        uint before = progress.Completed;
        if (progress.Add(happened) is { } notice)
        {
            _notices++;
            if (_notices <= MostNotices) write(notice);
            else if (_notices == MostNotices + 1) write("… and more of this kind; `fed run show` has it all.");
            return;
        }

        uint step = progress.Rounds == 0 ? 0 : (uint)((ulong)progress.Completed * Steps / progress.Rounds);
        if (progress.Completed == before || step == _step) return;
        _step = step;
        write($"round {progress.Completed} of {progress.Rounds}{progress.MetricsText}{(happened.Message.Length > 0 ? ": " + happened.Message : "")}");
    }
}
