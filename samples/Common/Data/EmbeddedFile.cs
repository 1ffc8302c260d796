using System.Reflection;
using System.Text;

namespace Federation.Samples.Data;

/// <summary>A file that a program carries.</summary>
public static class EmbeddedFile
{
    public static byte[] Bytes(Assembly program, string name)
    {
        using Stream stream = program.GetManifestResourceStream(name) ?? throw new InvalidOperationException($"The program lacks its resource '{name}'.");
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    public static string Text(Assembly program, string name) => Encoding.UTF8.GetString(Bytes(program, name));
}
