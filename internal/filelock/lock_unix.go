//go:build unix

package filelock

import (
	"errors"
	"os"
	"syscall"
)

// Lock takes f for this process as long as it is open. It returns ErrInUse at
// once when another has it. File systems that know no locks are used without.
func Lock(f *os.File) error { return flock(f, syscall.LOCK_EX) }

// Test returns ErrInUse when another process has f, and takes nothing.
func Test(f *os.File) error {
	if err := flock(f, syscall.LOCK_SH); err != nil {
		return err
	}
	return flock(f, syscall.LOCK_UN)
}

func flock(f *os.File, how int) error {
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return nil
}
