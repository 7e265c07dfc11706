package netif

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "interface", "lo") }

const dev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       2    3    4    5     6          7         8      900      10   11   12   13    14      15         16
  eth1:       1       1    1    1    1     1          1         1        1       1    1    1    1     1       1          1
 eth10:       2       2    2    2    2     2          2         2        2       2    2    2    2     2       2          2
broken:       2       x    2    2    2     2          2         2        2       2    2    2    2     2       2          2
 short: 1 2
`

func proc(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "net"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "net", "dev"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOST_PROC", dir)
}

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(t *testing.T) plugintest.Source {
		proc(t, dev)
		return plugintest.Source{Props: []string{"interface", "lo", "interval_sec", "0", "interval_nsec", "10000000"}}
	}})
}

func TestRecords(t *testing.T) {
	before, err := parse(strings.NewReader(dev), "lo")
	if err != nil {
		t.Fatal(err)
	}
	now := before
	now[0] += 50
	now[8] = 7 // began again
	now[15]++
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		in := plugintest.NewInput(t, Def(), plugintest.Env(t), append(keysAndValues, "interface", "lo")...).(*Input)
		e := event.NewBatch("t").Add(0)
		in.fill(e, &before, &now)
		if got := plugintest.JSON(e.Record()); got != want {
			t.Errorf("the record is %s, expected %s", got, want)
		}
	}
	f(`{"lo.rx.bytes":50,"lo.rx.packets":0,"lo.rx.errors":0,"lo.tx.bytes":7,"lo.tx.packets":0,"lo.tx.errors":0}`)
	f(`{"lo.rx.bytes":50,"lo.rx.packets":0,"lo.rx.errors":0,"lo.rx.drop":0,"lo.rx.fifo":0,"lo.rx.frame":0,"lo.rx.compressed":0,"lo.rx.multicast":0,`+
		`"lo.tx.bytes":7,"lo.tx.packets":0,"lo.tx.errors":0,"lo.tx.drop":0,"lo.tx.fifo":0,"lo.tx.collisions":0,"lo.tx.carrier":0,"lo.tx.compressepd":1}`,
		"verbose", "on")
}

func TestParse(t *testing.T) {
	f := func(name string, want uint64) {
		t.Helper()
		n, err := parse(strings.NewReader(dev), name)
		if err != nil || n[0] != want {
			t.Errorf("interface %q has %d bytes, error %v, expected %d", name, n[0], err, want)
		}
	}
	f("lo", 100)
	f("eth1", 1)
	f("eth10", 2)
	f("eth", 2) // the last that begins so
	for _, name := range []string{"wlan0", "broken", "short", "face", "Inter-"} {
		if _, err := parse(strings.NewReader(dev), name); err == nil {
			t.Errorf("interface %q was found", name)
		}
	}
}

func TestTestAtInit(t *testing.T) {
	proc(t, dev)
	f := func(name, test string, wantErr bool) {
		t.Helper()
		in := plugintest.NewInput(t, Def(), plugintest.Env(t), "interface", name, "test_at_init", test)
		if err := in.(plugin.Starter).Start(t.Context()); (err != nil) != wantErr {
			t.Errorf("with interface %s and test_at_init %s Start returns %v", name, test, err)
		}
	}
	f("lo", "on", false)
	f("wlan0", "on", true)
	f("wlan0", "off", false)
}
