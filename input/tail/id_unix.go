//go:build unix

package tail

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// fileID tells files apart as long as they exist.
type fileID struct {
	device uint64
	inode  uint64
}

func idOf(st fs.FileInfo, _ *os.File) (fileID, error) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, errors.New("the system does not tell the inode")
	}
	return fileID{uint64(sys.Dev), sys.Ino}, nil
}

// statID looks at the file that path leads to.
func statID(path string) (fs.FileInfo, fileID, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fileID{}, err
	}
	id, err := idOf(st, nil)
	return st, id, err
}

// removed tells whether an open file has no name any more.
func removed(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && sys.Nlink == 0
}

// reserve is how many of limit file descriptors followed files leave to outputs,
// connections and the database.
func reserve(limit uint64) uint64 { return min(limit/4, 512) }

// openFile opens a file to be read. It does not block if the path leads to a
// pipe by now. If it takes a file descriptor of the reserve it fails: without any
// nothing could be delivered, so that no file would ever be closed. The system
// gives the lowest number that is free (POSIX, open), so a high one means that
// there are few left below the limit.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return f, nil
	}
	var number uintptr
	var most syscall.Rlimit
	if raw.Control(func(fd uintptr) { number = fd }) != nil || syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most) != nil {
		return f, nil
	}
	if limit := uint64(most.Cur); uint64(number) >= limit-reserve(limit) {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: errTooManyFiles}
	}
	return f, nil
}

var errTooManyFiles = errors.New("almost no file descriptor is left (ulimit -n)")
