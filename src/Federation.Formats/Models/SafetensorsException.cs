namespace Federation.Formats.Models;

/// <summary>Bytes that are not a safetensors file, or not one with the layout that was asked for; the message says what would be right.</summary>
public sealed class SafetensorsException(string message) : FormatException(message);
