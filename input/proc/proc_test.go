package proc

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "proc_name", "sh") }

// proc makes a folder like /proc with two processes.
func proc(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range map[string]string{
		"uptime":        "1 2",
		"2/cmdline":     "",
		"30/cmdline":    "/usr/sbin/nginx\x00-g\x00",
		"30/status":     "Name:\tnginx\nVmPeak:\t    5420 kB\nVmRSS:\t 12 kB\nVmHWM:   13 kB\nThreads:\t4\n",
		"30/fd/0":       "",
		"30/fd/1":       "",
		"5/cmdline":     "nginx: worker process\x00",
		"5/fd/0":        "",
		"100/cmdline":   "nginx\x00",
		"100/status":    "VmPeak:\t    x kB\n",
		"self/cmdline":  "nginx\x00",
		"7/cmdline":     "/bin/other",
		"7/ignored/dir": "",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOST_PROC", dir)
	return dir
}

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(t *testing.T) plugintest.Source {
		proc(t)
		return plugintest.Source{Props: []string{"proc_name", "nginx", "interval_sec", "0", "interval_nsec", "10000000"}}
	}})
}

func TestRecords(t *testing.T) {
	proc(t)
	f := func(pid int, want string, keysAndValues ...string) {
		t.Helper()
		in := plugintest.NewInput(t, Def(), plugintest.Env(t), keysAndValues...).(*Input)
		got, err := in.find()
		if err != nil || got != pid {
			t.Errorf("with %q process %d is found, error %v, expected %d", keysAndValues, got, err, pid)
			return
		}
		e := event.NewBatch("t").Add(0)
		in.fill(e, got)
		if got := plugintest.JSON(e.Record()); got != want {
			t.Errorf("with %q the record is\n%s, expected\n%s", keysAndValues, got, want)
		}
	}
	const zeros = `"mem.VmPeak":0,"mem.VmSize":0,"mem.VmLck":0,"mem.VmHWM":0,"mem.VmRSS":0,"mem.VmData":0,"mem.VmStk":0,"mem.VmExe":0,"mem.VmLib":0,"mem.VmPTE":0,"mem.VmSwap":0`
	// 100 is before 30 as a text; its files cannot be read.
	f(100, `{"alive":true,"proc_name":"nginx","pid":100,`+zeros+`,"fd":0}`, "proc_name", "nginx")
	f(-1, `{"alive":false,"proc_name":"gone","pid":-1,`+zeros+`,"fd":0}`, "proc_name", "gone")
	f(7, `{"alive":true,"proc_name":"other","pid":7}`, "proc_name", "other", "mem", "off", "fd", "off")
	f(5, `{"alive":true,"proc_name":"nginx: worker process","pid":5,"fd":1}`, "proc_name", "nginx: worker process", "mem", "off")
	if err := os.RemoveAll(filepath.Join(os.Getenv("HOST_PROC"), "100")); err != nil {
		t.Fatal(err)
	}
	f(30, `{"alive":true,"proc_name":"nginx","pid":30,"mem.VmPeak":5420000,"mem.VmSize":0,"mem.VmLck":0,"mem.VmHWM":13000,"mem.VmRSS":12000,"mem.VmData":0,"mem.VmStk":0,"mem.VmExe":0,"mem.VmLib":0,"mem.VmPTE":0,"mem.VmSwap":0,"fd":2}`,
		"proc_name", "nginx")
}

func TestAlertIsSilentWhileTheProcessRuns(t *testing.T) {
	dir := proc(t)
	var em plugintest.Emitter
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), "proc_name", "other", "alert", "on", "interval_sec", "0", "interval_nsec", "1000000")
	r := plugintest.Run(t, in, &em)
	time.Sleep(20 * time.Millisecond)
	if n := em.Batches(); n != 0 {
		t.Errorf("%d records were made although the process runs", n)
	}
	if err := os.Remove(filepath.Join(dir, "7", "cmdline")); err != nil {
		t.Fatal(err)
	}
	em.Wait(t, 1)
	if err := r.Stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}
