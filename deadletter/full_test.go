//go:build unix

package deadletter_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/kagarilog/kagari/deadletter"
)

// fillUp writes letters until the limit of file sizes forbids it, then raises
// the limit and writes one more. It prints what became of each.
func fillUp(dir string) {
	var limit syscall.Rlimit
	must := func(err error) {
		if err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
	}
	must(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	low := limit
	low.Cur = 10_000
	must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low))
	box := deadletter.New(dir, 0, nil)
	n := 0
	for ; ; n++ {
		kept, err := box.Put(chunk("t", 1, n), deadletter.Cause{Output: "o"})
		if err != nil {
			fmt.Println(n, kept, err)
			break
		}
	}
	must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	kept, err := box.Put(chunk("t", 1, n+1), deadletter.Cause{Output: "o"})
	fmt.Println(n+1, kept, err)
	os.Exit(0)
}

// What does not fit is told and leaves no trace, and once there is room again
// writing goes on.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DEADLETTER_FILL="+dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, string(out))
	}
	var full, kept, next, keptNext int
	var why string
	lines := strings.Split(string(out), "\n")
	if _, err := fmt.Sscanf(lines[0], "%d %d %s", &full, &kept, &why); err != nil {
		t.Fatal(err, string(out))
	}
	if _, err := fmt.Sscanf(lines[1], "%d %d", &next, &keptNext); err != nil {
		t.Fatal(err, string(out))
	}
	if full < 20 || kept != 0 || keptNext != 1 || !strings.Contains(lines[0], "file too large") {
		t.Errorf("%s", out)
	}
	ns, bad, torn := numbers(t, dir)
	if len(ns) != full+1 || ns[full] != full+1 || bad+torn != 0 {
		t.Errorf("%d letters after %d, the last %d; %d bad lines, %d torn", len(ns), full, ns[len(ns)-1], bad, torn)
	}
}
