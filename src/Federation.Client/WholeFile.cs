using System.Text;

namespace Federation.Client;

/// <summary>A file that is there whole or not at all, whenever the power fails.</summary>
internal static class WholeFile
{
    public static void Write(string path, string text)
    {
        string fresh = path + ".new";
        using (FileStream file = File.Create(fresh))
        {
            file.Write(Encoding.UTF8.GetBytes(text));
            file.Flush(flushToDisk: true); // before it gets its name
        }

        File.Move(fresh, path, overwrite: true);
    }
}
