//go:build !unix

package stdin

import (
	"context"
	"io"
	"os"
)

// interruptible returns a reader of f whose reads end with ctx. A read that is
// left behind goes on until there is something.
func interruptible(ctx context.Context, f *os.File) (r io.Reader, stop func(), err error) {
	return &reader{ctx: ctx, file: f}, func() {}, nil
}

type reader struct {
	ctx  context.Context
	file *os.File
}

type result struct {
	data []byte
	err  error
}

func (r *reader) Read(p []byte) (int, error) {
	done := make(chan result, 1)
	go func() {
		buf := make([]byte, len(p))
		n, err := r.file.Read(buf)
		done <- result{buf[:n], err}
	}()
	select {
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	case res := <-done:
		return copy(p, res.data), res.err
	}
}
