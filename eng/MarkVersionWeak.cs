using System;
using System.IO;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>Copies an ELF64 library and marks its requirement of GLIBCXX_3.4.32 weak, where this system's libstdc++ lacks that version.</summary>
/// <remarks>System V ABI, "Symbol versioning": section type SHT_GNU_verneed, entries Elfxx_Verneed and Elfxx_Vernaux. Compiled against netstandard2.0.</remarks>
public sealed class MarkVersionWeak : Task
{
    private const string VersionName = "GLIBCXX_3.4.32";
    private const uint SectionTypeVersionNeeded = 0x6ffffffe;
    private const ushort WeakFlag = 0x2;

    [Required] public string Source { get; set; }
    [Required] public string Destination { get; set; }
    [Output] public bool Written { get; set; }

    public override bool Execute()
    {
        byte[] file = File.ReadAllBytes(Source);
        if (SystemHasVersion() || !Mark(file)) return true;
        Written = true;
        if (File.Exists(Destination) && Equal(File.ReadAllBytes(Destination), file)) return true;
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(Destination)));
        File.Delete(Destination); // it may be a hard link
        File.WriteAllBytes(Destination, file);
        return true;
    }

    private static bool SystemHasVersion()
    {
        foreach (string folder in new[] { "/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib" })
        {
            string path = Path.Combine(folder, "libstdc++.so.6");
            if (File.Exists(path)) return Encoding.ASCII.GetString(File.ReadAllBytes(path)).Contains(VersionName + "\0");
        }

        return false;
    }

    /// <summary>Sets the flag; false where the file is no ELF64 library or asks for no such version.</summary>
    private static bool Mark(byte[] file)
    {
        if (file.Length < 64 || file[0] != 0x7f || file[1] != 'E' || file[4] != 2 || file[5] != 1) return false;
        long sections = BitConverter.ToInt64(file, 0x28);
        int size = BitConverter.ToUInt16(file, 0x3a), count = BitConverter.ToUInt16(file, 0x3c);
        for (int i = 0; i < count; i++)
        {
            int section = checked((int)(sections + (long)i * size));
            if (BitConverter.ToUInt32(file, section + 4) != SectionTypeVersionNeeded) continue;
            int needed = checked((int)BitConverter.ToInt64(file, section + 0x18));
            int link = BitConverter.ToInt32(file, section + 0x28), entries = BitConverter.ToInt32(file, section + 0x2c);
            int strings = checked((int)BitConverter.ToInt64(file, checked((int)(sections + (long)link * size)) + 0x18));
            return MarkIn(file, needed, entries, strings);
        }

        return false;
    }

    private static bool MarkIn(byte[] file, int needed, int entries, int strings)
    {
        bool found = false;
        for (int i = 0; i < entries; i++)
        {
            int versions = BitConverter.ToUInt16(file, needed + 2);
            int version = needed + BitConverter.ToInt32(file, needed + 8);
            for (int j = 0; j < versions; j++)
            {
                int name = strings + BitConverter.ToInt32(file, version + 8);
                int end = Array.IndexOf(file, (byte)0, name);
                if (Encoding.ASCII.GetString(file, name, end - name) == VersionName)
                {
                    file[version + 4] |= (byte)WeakFlag;
                    found = true;
                }

                version += BitConverter.ToInt32(file, version + 12);
            }

            needed += BitConverter.ToInt32(file, needed + 12);
        }

        return found;
    }

    private static bool Equal(byte[] a, byte[] b)
    {
        if (a.Length != b.Length) return false;
        for (int i = 0; i < a.Length; i++) if (a[i] != b[i]) return false;
        return true;
    }
}
