using System.Text;
using Federation.Protocol;

namespace Federation.Client;

/// <summary>A file that is there whole or not at all, whenever the power fails.</summary>
internal static class WholeFile
{
    /// <param name="spare">Files that can be used again; null: none.</param>
    public static void Write(string path, string text, SpareFiles? spare = null)
    {
        string fresh = path + ".new";
        spare?.Place(fresh);
        using (FileStream file = File.Create(fresh))
        {
            file.Write(Encoding.UTF8.GetBytes(text));
            file.Flush(flushToDisk: true); // before it gets its name
        }

        File.Move(fresh, path, overwrite: true);
    }
}
