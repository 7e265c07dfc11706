package tail

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// fileID tells files apart as long as they exist.
type fileID struct {
	device uint64 // serial number of the volume
	inode  uint64 // file index
}

func idOf(_ fs.FileInfo, f *os.File) (fileID, error) {
	var info syscall.ByHandleFileInformation
	if err := syscall.GetFileInformationByHandle(syscall.Handle(f.Fd()), &info); err != nil {
		return fileID{}, fmt.Errorf("identify %s: %w", f.Name(), err)
	}
	return fileID{uint64(info.VolumeSerialNumber), uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)}, nil
}

// statID looks at the file that path leads to.
func statID(path string) (fs.FileInfo, fileID, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, fileID{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fileID{}, err
	}
	id, err := idOf(st, f)
	return st, id, err
}

// removed tells whether an open file has no name any more, which the system
// does not tell.
func removed(fs.FileInfo) bool { return false }

func openFile(path string) (*os.File, error) { return os.Open(path) }
