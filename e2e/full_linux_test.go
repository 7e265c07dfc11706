package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// smallDisk mounts a file system of so many bytes.
func smallDisk(t *testing.T, size int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("no file system can be mounted here, which needs root and its capabilities: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillUp writes a file that leaves no room and returns how to remove it.
func fillUp(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			break
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// numbered sends records from..to-1 on a connection to the forward input.
func numbered(t *testing.T, address string, from, to int) {
	t.Helper()
	c := dial(t, address)
	var b []byte
	for i := from; i < to; i++ {
		b = append(b, message("a", "log", fmt.Sprintf("record %d %s", i, strings.Repeat("x", 100)))...)
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

const toFullDisk = `
[INPUT]
    Name forward
    Listen 127.0.0.1
    Port %s
    %s
[OUTPUT]
    Name file
    Match *
    Format plain
    Path %s
    File out
    Retry_Limit no_limits
`

const retrySoon = "    Grace 5\n    scheduler.base 1\n    scheduler.cap 1\n"

// On a full disk the file output tries again until there is room: nothing is
// lost, doubled or cut in halves, and other outputs do not wait.
func TestAFullDisk(t *testing.T) {
	f := func(name string, wrap []string, disk func(t *testing.T) (dir string), fill func(t *testing.T, r *router, dir string) (free func())) {
		t.Run(name, func(t *testing.T) {
			dir := disk(t)
			other := t.TempDir()
			port := freePort(t)
			r := watched(t, wrap, retrySoon, fmt.Sprintf(toFullDisk, port, "", dir)+
				fmt.Sprintf("[OUTPUT]\n    Name file\n    Match *\n    Format plain\n    Path %s\n    File out\n    Rotate on\n    Rotate_Max_Size 20k\n    Rotate_Max_Files 100\n    Rotate_Gzip off\n", other))
			address := "127.0.0.1:" + port
			numbered(t, address, 0, 100)
			out := filepath.Join(dir, "out")
			waitFor(t, "the first records", func() bool { return count(out) >= 100 })
			free := fill(t, r, dir)
			for i := 1; i < 10; i++ { // so that some fit and others do not
				numbered(t, address, 100*i, 100*i+100)
				time.Sleep(120 * time.Millisecond)
			}
			waitFor(t, "a retry", func() bool {
				return r.counter("fluentbit_output_retries_total", `name="file.0"`) >= 2
			})
			waitFor(t, "the other output", func() bool {
				return r.counter("fluentbit_output_proc_records_total", `name="file.1"`) >= 1000
			})
			if !strings.Contains(r.log.String(), out) {
				t.Errorf("the log does not name the file:\n%s", r.log.String())
			}
			for i, line := range lines(out) {
				if !strings.HasSuffix(line, `xx"}`) {
					t.Errorf("line %d is not whole: %.200q", i, line)
				}
			}
			free()
			waitFor(t, "all records", func() bool { return count(out) >= 1000 })
			r.stopWithin(3 * time.Second)
			seen := map[string]int{}
			for _, line := range lines(out) {
				seen[line]++
			}
			for i := range 1000 {
				if n := seen[fmt.Sprintf(`{"log":"record %d %s"}`, i, strings.Repeat("x", 100))]; n != 1 {
					t.Errorf("record %d came %d times", i, n)
				}
			}
			if n := r.cmd.ProcessState.ExitCode(); n != 0 {
				t.Errorf("it ended with %d", n)
			}
		})
	}
	f("file system", nil, func(t *testing.T) string { return smallDisk(t, 400<<10) },
		func(t *testing.T, _ *router, dir string) func() { return fillUp(t, dir) })
	f("limit of file sizes", []string{"sh", "-c", `ulimit -S -f 100 && exec "$@"`, "sh"}, func(t *testing.T) string { return t.TempDir() },
		func(t *testing.T, r *router, _ string) func() { return func() { unlimitFiles(t, r.cmd.Process.Pid) } })
}

// Where the router keeps its own things a full disk costs what they are for, a
// copy of chunks, offsets and the log, but no record.
func TestAFullDiskForChunksOffsetsAndLog(t *testing.T) {
	disk, dir := smallDisk(t, 200<<10), t.TempDir()
	logFile := filepath.Join(disk, "log")
	port := freePort(t)
	r := watched(t, nil, retrySoon+"    storage.path "+disk+"/chunks\n    Log_File "+logFile+"\n", fmt.Sprintf(toFullDisk, port, "storage.type filesystem", dir)+
		fmt.Sprintf("[INPUT]\n    Name tail\n    Path %s/*.txt\n    DB %s/offsets.db\n    Refresh_Interval 1\n", dir, disk))
	address := "127.0.0.1:" + port
	out := filepath.Join(dir, "out")
	numbered(t, address, 0, 100)
	waitFor(t, "the first records", func() bool { return count(out) >= 100 })
	free := fillUp(t, disk)
	for i := 1; i < 5; i++ {
		numbered(t, address, 100*i, 100*i+100)
		write(t, dir, fmt.Sprintf("%d.txt", i), "a line\n")
		waitFor(t, "records while the disk is full", func() bool { return count(out) >= 100*i+100+i })
	}
	waitFor(t, "the delivery of all", func() bool { return r.counter("fluentbit_output_proc_records_total") == 504 })
	free()
	numbered(t, address, 500, 600)
	waitFor(t, "records afterwards", func() bool { return count(out) >= 604 })
	r.stopWithin(3 * time.Second)
	seen := map[string]int{}
	for _, line := range lines(out) {
		seen[line]++
	}
	if len(seen) != 601 || seen[`{"log":"a line"}`] != 4 {
		t.Errorf("%d different lines, want 601", len(seen))
	}
}

// unlimitFiles takes the soft limit of file sizes from a process (prlimit(2)).
func unlimitFiles(t *testing.T, pid int) {
	t.Helper()
	none := syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&none)), 0, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
}
