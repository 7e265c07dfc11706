package plugin_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/plugin"
)

func TestRegistry(t *testing.T) {
	tail := &plugin.Def{Kind: plugin.KindInput, Name: "tail", Aliases: []string{"follow"}}
	hidden := &plugin.Def{Kind: plugin.KindInput, Name: "tale", Hidden: true}
	out := &plugin.Def{Kind: plugin.KindOutput, Name: "tail"}
	r := plugin.NewRegistry(tail, hidden, out)
	for name, want := range map[string]*plugin.Def{"tail": tail, "TAIL": tail, "Follow": tail, "tale": hidden, "": nil, "tai": nil} {
		if got, ok := r.Lookup(plugin.KindInput, name); got != want || ok != (want != nil) {
			t.Errorf("Lookup(%q) = %v, %v", name, got, ok)
		}
	}
	if got, _ := r.Lookup(plugin.KindOutput, "tail"); got != out {
		t.Error("kinds are mixed up")
	}
	if got := r.Suggest(plugin.KindInput, "tial"); got != `did you mean "tail"?` {
		t.Errorf("Suggest: %s", got)
	}
	if got := r.Suggest(plugin.KindFilter, "tail"); got != "" {
		t.Errorf("Suggest of a kind without plugins: %s", got)
	}
	if all := r.All(); len(all) != 3 || all[0] != tail {
		t.Errorf("All: %v", all)
	}
	for _, twice := range []*plugin.Def{{Kind: plugin.KindInput, Name: "tail"}, {Kind: plugin.KindInput, Name: "x", Aliases: []string{"follow"}}} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "BUG:") {
					t.Errorf("%s given twice: %v, want a panic that names a bug", twice.Name, r)
				}
			}()
			plugin.NewRegistry(tail, twice)
		}()
	}
}

func TestStats(t *testing.T) {
	var s plugin.Stats
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				s.Drop("too_long", 2)
				s.Reject("bad_json", 1)
				s.Counter("my_total", "Mine.", "", "").Add(1)
				s.Each(func(string, string, string, string, uint64) {})
			}
		})
	}
	wg.Wait()
	got := map[string]uint64{}
	s.Each(func(name, help, label, value string, n uint64) {
		if help == "" {
			t.Errorf("%s has no help", name)
		}
		got[name+" "+label+" "+value] += n
	})
	want := map[string]uint64{plugin.DropMetric + " reason too_long": 800, plugin.RejectMetric + " reason bad_json": 400, "my_total  ": 400}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if a, b := s.Counter("my_total", "", "", ""), s.Counter("my_total", "", "a", "b"); a == b || a.Load() != 400 {
		t.Error("a label makes no counter of its own")
	}
}

func TestErrorsKeepTheirCause(t *testing.T) {
	cause := errors.New("the cause")
	var permanent *plugin.PermanentError
	var partial *plugin.PartialError
	var after *plugin.RetryAfterError
	wrap := func(err error) error { return fmt.Errorf("send: %w", err) }
	for _, c := range []struct {
		err error
		as  any
	}{
		{plugin.Permanent(cause), &permanent}, {plugin.Partial(cause, []int{1}), &partial}, {plugin.RetryAfter(cause, time.Second), &after},
	} {
		if c.err.Error() != "the cause" || !errors.Is(wrap(c.err), cause) || !errors.As(wrap(c.err), c.as) {
			t.Errorf("%T loses its cause or itself", c.err)
		}
	}
	if after.After != time.Second || len(partial.Retry) != 1 {
		t.Error("the details are lost")
	}
}
