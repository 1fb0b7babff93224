"""Power cuts without a machine to cut: record what a process asks of its disk, and build what a cut may leave of it.

strace records every call of a process tree that changes a folder or syncs it (calls.py).  A model of a disk replays
them up to any point, and keeps of what was not synced by then nothing, all, or a part (disk.py), so one run yields
hundreds of cuts.  It proves what follows from the order of calls and syncs, for a file system that promises no more
than POSIX: synced data of a file stays, synced entries of a folder stay, a rename happens whole.  It proves nothing of
the kernel, or of a disk that denies a sync.  The way is that of ALICE (Pillai et al., OSDI 2014).
"""
