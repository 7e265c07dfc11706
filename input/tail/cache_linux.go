package tail

import "golang.org/x/sys/unix"

// dropEvery is how much of a file is read between two advices to the system.
const dropEvery = 4 << 20

// dropCache tells the system that what was read of f needs no cache, as
// File_Cache_Advise asks for. It is called with the n bytes read last.
func (in *Input) dropCache(f *file, n int64) {
	if !in.cfg.FileCacheAdvise {
		return
	}
	if f.dropped += n; f.dropped < dropEvery {
		return
	}
	from := max(0, f.offset-f.dropped)
	f.dropped = 0
	// It is no more than advice, so an error does not matter.
	_ = unix.Fadvise(int(f.f.Fd()), from, f.offset-from, unix.FADV_DONTNEED)
}
