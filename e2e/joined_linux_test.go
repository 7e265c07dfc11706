package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// A line in parts that was read but is not complete when the process is killed
// is read again from its first part.
func TestAKillWhileLinesWaitToBeJoined(t *testing.T) {
	dir := t.TempDir()
	file, out := filepath.Join(dir, "a.log"), filepath.Join(dir, "out.log")
	config := fmt.Sprintf(`[SERVICE]
    Flush     0.1
    Log_Level error
[INPUT]
    Name             tail
    Path             %s
    DB               %s
    Read_From_Head   on
    multiline.parser cri
[OUTPUT]
    Name   file
    Match  *
    Path   %s
    File   out.log
    Format template
    Template {log}
`, file, filepath.Join(dir, "pos.db"), dir)
	const part = "2024-04-01T12:00:00.%dZ stdout %s %s\n"
	write(t, dir, "a.log", fmt.Sprintf(part, 1, "F", "one")+fmt.Sprintf(part, 2, "P", "two "))

	r := start(t, config)
	waitFor(t, "the first line", func() bool { return slices.Contains(lines(out), "one") })
	if err := r.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.ended

	r = start(t, config)
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, part+part, 3, "P", "and ", 4, "F", "three"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the joined line", func() bool { return slices.Contains(lines(out), "two and three") })
	r.stop()
	for _, l := range lines(out) {
		if l != "one" && l != "two and three" {
			t.Errorf("there is a line %q", l)
		}
	}
}
