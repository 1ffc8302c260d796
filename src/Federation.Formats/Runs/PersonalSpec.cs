using System.IO.Enumeration;

namespace Federation.Formats.Runs;

/// <summary>What of a model is each site's own.</summary>
/// <param name="Tensors">Patterns of tensors that stay at the site: trained there, never sent, not averaged; <c>*</c> stands for any characters. Empty: none.</param>
/// <param name="FineTuneEpochs">After the last round each site trains the model for so many epochs on its own rows, for itself; 0: not.</param>
/// <remarks>Li, Jiang, Zhang, Kamp, Dou 2021 (FedBN), where the tensors are those of batch normalisation; Arivazhagan et al. 2019, where they are the last layers.</remarks>
public sealed record PersonalSpec(IReadOnlyList<string> Tensors, int FineTuneEpochs)
{
    /// <summary>Whether a tensor of this name stays at the site.</summary>
    public bool Keeps(string tensor) => Tensors.Any(pattern => FileSystemName.MatchesSimpleExpression(pattern, tensor, ignoreCase: false));
}
