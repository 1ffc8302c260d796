using Federation.Simulation;

namespace Federation.Cli.Results;

/// <param name="Folder">With everything that was written.</param>
/// <param name="Field">That was swept; null: there is one simulation.</param>
internal sealed record SimulateResult(string Folder, string? Field, IReadOnlyList<SweepEntry> Simulations);

/// <param name="Value">Of the field.</param>
internal sealed record SweepEntry(string? Value, SimulationResult Result);
