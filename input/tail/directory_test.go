package tail

import (
	"os"
	"strings"
	"testing"
)

// A path that is a directory, where the files in it were meant, is told; one
// that a pattern happens to match is not.
func TestPathThatIsADirectory(t *testing.T) {
	r := newRig(t)
	r.must(os.Mkdir(r.path("sub.log"), 0o755))
	r.write("a.log", "a line\n")
	r.start("path", "$/*.log")
	r.em.Wait(t, 1)
	r.stop()
	if strings.Contains(r.log.String(), "level=WARN") {
		t.Errorf("a directory that a pattern matches is told: %s", r.log)
	}
	r.start("path", "$/sub.log/,$/a.log")
	r.em.Wait(t, 2)
	r.stop()
	if !strings.Contains(r.log.String(), "the path is a directory") {
		t.Errorf("the log says nothing about the directory: %s", r.log)
	}
}
