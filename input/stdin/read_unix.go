//go:build unix

package stdin

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// interruptible returns a reader of f whose reads end with ctx. Reading itself
// cannot be stopped, and a read left behind would steal what the next one should
// get; so it is only done when there is something. stop ends the use of the
// reader.
func interruptible(ctx context.Context, f *os.File) (r io.Reader, stop func(), err error) {
	wake, end, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cancel := context.AfterFunc(ctx, func() { _ = end.Close() })
	stop = func() {
		cancel()
		_ = end.Close()
		_ = wake.Close()
	}
	return &reader{ctx: ctx, file: f, wake: wake}, stop, nil
}

type reader struct {
	ctx  context.Context
	file *os.File
	wake *os.File // readable once ctx has ended
}

func (r *reader) Read(p []byte) (int, error) {
	fds := []unix.PollFd{
		{Fd: int32(r.file.Fd()), Events: unix.POLLIN},
		{Fd: int32(r.wake.Fd()), Events: unix.POLLIN},
	}
	for {
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return 0, os.NewSyscallError("poll", err)
		}
		if fds[1].Revents != 0 {
			return 0, r.ctx.Err()
		}
		if fds[0].Revents == 0 {
			continue
		}
		n, err := r.file.Read(p)
		// Another reader of the same pipe may have been faster.
		if errors.Is(err, unix.EAGAIN) {
			continue
		}
		return n, err
	}
}
