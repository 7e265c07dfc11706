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

// openFile opens a file to be read. It does not block if the path leads to a
// pipe by now.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}
