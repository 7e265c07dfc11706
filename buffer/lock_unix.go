//go:build unix

package buffer

import (
	"errors"
	"os"
	"syscall"
)

// lock takes f for this process as long as it is open. File systems that know
// no locks are used without.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return nil
}
