package disk

import (
	"testing"

	"github.com/shirou/gopsutil/v4/disk"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(*testing.T) plugintest.Source {
		return plugintest.Source{Props: []string{"interval_sec", "0", "interval_nsec", "10000000"}}
	}})
}

func TestRecords(t *testing.T) {
	type counters = map[string]disk.IOCountersStat
	f := func(device string, before, now counters, want string) {
		t.Helper()
		in := plugintest.NewInput(t, Def(), plugintest.Env(t), "dev_name", device).(*Input)
		e := event.NewBatch("t").Add(0)
		in.fill(e, before, now)
		if got := plugintest.JSON(e.Record()); got != want {
			t.Errorf("the record is %s, expected %s", got, want)
		}
	}
	before := counters{"sda": {ReadBytes: 512, WriteBytes: 1024}, "sda1": {ReadBytes: 512, WriteBytes: 1024}, "sdb": {ReadBytes: 5}}
	now := counters{"sda": {ReadBytes: 1024, WriteBytes: 1024}, "sda1": {ReadBytes: 1024, WriteBytes: 2048}, "sdb": {ReadBytes: 5}}
	f("", before, now, `{"read_size":1024,"write_size":1024}`)
	f("sda1", before, now, `{"read_size":512,"write_size":1024}`)
	f("nvme", before, now, `{"read_size":0,"write_size":0}`)
	// Removed, added and begun again.
	f("", before, counters{"sdb": {ReadBytes: 3}, "sdc": {WriteBytes: 4}}, `{"read_size":3,"write_size":4}`)
}
