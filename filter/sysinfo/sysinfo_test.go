package sysinfo

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "hostname_key", "h") }

func TestFields(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("versions are not added on this system")
		return
	}
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "kernel_version_key", "k", "os_version_key", "v",
		"hostname_key", "h", "os_name_key", "o", "fluentbit_version_key", "f").(*Filter)
	filter.hostname = func() (string, error) { return "web-1", nil }
	got := plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{"a":1}`})[0].Record
	if !strings.HasPrefix(got, `{"a":1,"f":"0.0.0-test","o":"linux","h":"web-1","v":"#`) || !strings.Contains(got, `","k":"`) || strings.Contains(got, `\n`) {
		t.Errorf("the record is %s", got)
	}
}

func TestNoKeysAddNothing(t *testing.T) {
	if got := plugintest.Filter(t, Def(), []string{`{"a":1}`})[0]; got != `{"a":1}` {
		t.Errorf("the record is %s", got)
	}
}

func TestUnknownNamesAreSaid(t *testing.T) {
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "hostname_key", "h").(*Filter)
	filter.hostname = func() (string, error) { return "", errors.New("none") }
	if got := plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{}`})[0].Record; got != `{"h":"unknown"}` {
		t.Errorf("the record is %s", got)
	}
	if got := filter.read("/nonexistent"); got != unknown {
		t.Errorf("a missing file gives %q", got)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "hostname_key", "h", "os_name_key", "o")
	if n := plugintest.AllocsPerEvent(t, filter, `{"a":1}`); n > 0.02 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}
