using Federation.Formats.Evaluation;

namespace Federation.Simulation;

/// <summary>A round of a simulation that is over.</summary>
/// <param name="Seconds">Virtual time since the simulation's beginning.</param>
/// <param name="Cohort">Clients that were asked.</param>
/// <param name="Contributors">Updates that counted; 0: the round was abandoned.</param>
/// <param name="Silent">Clients that were asked and dropped out.</param>
/// <param name="Failed">Clients whose training failed.</param>
/// <param name="Loss">Mean training loss of the contributors, each by its examples: for the eyes of whoever simulates. On real nodes it stays at the site.</param>
/// <param name="Evaluation">On the public test set; null: not after this round.</param>
public sealed record SimulatedRound(int Round, double Seconds, int Cohort, int Contributors, int Silent, int Failed, double? Loss, string ModelSha256, Metrics? Evaluation);
