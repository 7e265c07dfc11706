//go:build unix

package tail

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPaths(t *testing.T) {
	r := newRig(t)
	for _, d := range []string{"sub", "sub/deep", ".hidden", "dir.log"} {
		r.must(os.Mkdir(r.path(d), 0o755))
	}
	for _, f := range []string{"a.log", "b.log", "b.txt", "skip-d.log", "e.gz", "sub/c.log", "sub/deep/d.log", ".h.log", ".hidden/x.log"} {
		r.write(f, f+"\n")
	}
	r.must(os.Symlink(r.path("a.log"), r.path("same.log")))
	r.must(os.Symlink(r.path("nowhere"), r.path("broken.log")))
	r.must(os.Symlink(r.path("loop.log"), r.path("loop.log")))
	r.must(syscall.Mkfifo(r.path("pipe.log"), 0o644))
	r.start("path", "$/*.log,$/*.txt, $/sub/*,$/e*,$/[a-c].log", "exclude_path", "$/skip*,*.gz", "path_key", "p")
	r.want(`{"p":"$/a.log","log":"a.log"}`, `{"p":"$/b.log","log":"b.log"}`,
		`{"p":"$/b.txt","log":"b.txt"}`, `{"p":"$/sub/c.log","log":"sub/c.log"}`)
	r.logged("too many levels of symbolic links")
	r.settle()
	if n := len(r.em.Events()); n != 4 {
		t.Errorf("%d events", n)
	}
}

// Between looking and opening, a file may vanish or become something else.
func TestFileChangesWhileItIsOpened(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	r.write("b.log", "1\n")
	in := r.make()
	in.keeper.openFile = func(path string) (*os.File, error) {
		r.must(os.Remove(path))
		if strings.HasSuffix(path, "b.log") {
			r.must(syscall.Mkfifo(path, 0o644))
		}
		return openFile(path)
	}
	if !in.keeper.scan(time.Now()) || len(in.keeper.files) != 0 {
		t.Errorf("files %v, log %s", in.keeper.files, r.log)
	}
}
