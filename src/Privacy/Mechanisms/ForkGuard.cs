using System.Runtime.InteropServices;

namespace Federation.Privacy.Mechanisms;

/// <summary>Tells a forked child from its parent with one memory read: a page that the kernel wipes in the child.</summary>
/// <remarks>Linux 4.14, madvise(2) MADV_WIPEONFORK. Elsewhere the process id is asked for each time; Windows has no fork.</remarks>
internal static unsafe partial class ForkGuard
{
    private const int WipeOnFork = 18, ReadWrite = 3, PrivateAnonymous = 0x22;
    private static readonly long* s_page = Map();
    private static readonly Lock s_lock = new();
    private static long s_children;

    /// <summary>The page; null where there is none.</summary>
    internal static long* Page => s_page;

    /// <summary>A number that differs between a process and every child forked from it.</summary>
    public static long Generation
    {
        get
        {
            if (s_page == null) return OperatingSystem.IsWindows() ? 1 : ProcessId();
            long mark = Volatile.Read(ref *s_page);
            return mark != 0 ? mark : Renew();
        }
    }

    private static long Renew()
    {
        lock (s_lock)
        {
            if (*s_page == 0) Volatile.Write(ref *s_page, ++s_children + 1);
            return *s_page;
        }
    }

    private static long* Map()
    {
        if (!OperatingSystem.IsLinux()) return null;
        nuint length = (nuint)Environment.SystemPageSize;
        void* page = MapMemory(null, length, ReadWrite, PrivateAnonymous, -1, 0);
        if ((nint)page == -1) return null;
        if (Advise(page, length, WipeOnFork) != 0) return null;
        *(long*)page = 1;
        return (long*)page;
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* MapMemory(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "getpid")]
    private static partial int ProcessId();
}
