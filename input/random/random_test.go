package random

import (
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(*testing.T) plugintest.Source {
		return plugintest.Source{Props: []string{"interval_sec", "0", "interval_nsec", "10000000"}}
	}})
}

func TestSamples(t *testing.T) {
	f := func(samples string, want int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var em plugintest.Emitter
			in := plugintest.NewInput(t, Def(), plugintest.Env(t), "samples", samples)
			r := plugintest.Run(t, in, &em)
			time.Sleep(5500 * time.Millisecond)
			synctest.Wait()
			if err := r.Stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
			records := em.Records()
			if len(records) != want {
				t.Errorf("samples %s makes %d records, expected %d", samples, len(records), want)
			}
			for _, r := range records {
				if !regexp.MustCompile(`^\{"rand_value":\d+\}$`).MatchString(r) {
					t.Errorf("the record is %s", r)
				}
			}
		})
	}
	f("-1", 5)
	f("0", 0)
	f("2", 2)
}
