package mem

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(*testing.T) plugintest.Source {
		return plugintest.Source{Props: []string{"interval_sec", "1"}}
	}})
}

func record(t *testing.T, keysAndValues ...string) string {
	t.Helper()
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), keysAndValues...).(*Input)
	e := event.NewBatch("t").Add(0)
	if err := in.fill(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return plugintest.JSON(e.Record())
}

func TestTheRecordIsThatOfFluentBit(t *testing.T) {
	dir := t.TempDir()
	meminfo := "MemTotal:       24684092 kB\nMemFree:        12735532 kB\nMemAvailable:   20000000 kB\n" +
		"Buffers:            1000 kB\nCached:          2000000 kB\nSwapTotal:       1048576 kB\nSwapFree:        1000000 kB\n"
	for name, text := range map[string]string{"meminfo": meminfo, "vmstat": "", "zoneinfo": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOST_PROC", dir)
	// Swap is told by the kernel directly, so its numbers are those of this machine.
	want := `^\{"Mem.total":24684092,"Mem.used":11948560,"Mem.free":12735532,"Swap.total":\d+,"Swap.used":\d+,"Swap.free":\d+\}$`
	if got := record(t); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("the record is %s, expected a match of %s", got, want)
	}
}

func TestTheProcessIsToldToo(t *testing.T) {
	got := record(t, "pid", strconv.Itoa(os.Getpid()))
	if !regexp.MustCompile(`"proc_bytes":[1-9]\d+,"proc_hr":"[\d.]+M"\}$`).MatchString(got) {
		t.Errorf("the record is %s", got)
	}
	if got := record(t, "pid", "1999999999"); regexp.MustCompile("proc_").MatchString(got) {
		t.Errorf("with a process that is not there the record is %s", got)
	}
}

func TestTheIntervalIsNeverLessThanASecond(t *testing.T) {
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), "interval_sec", "0", "interval_nsec", "500000000").(*Input)
	if want := 1500 * time.Millisecond; in.every != want {
		t.Errorf("the interval is %v, expected %v as in Fluent Bit", in.every, want)
	}
}

func TestReadable(t *testing.T) {
	f := func(n uint64, want string) {
		t.Helper()
		if got := readable(n); got != want {
			t.Errorf("readable(%d) = %q, expected %q", n, got, want)
		}
	}
	f(0, "0 b")
	f(1023, "1023 b")
	f(1024, "1.00K")
	f(3842048, "3.66M")
	f(5<<40, "5.00T")
	f(1<<64-1, "16.00E")
}
