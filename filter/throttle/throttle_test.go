package throttle

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

var many = slices.Repeat([]plugintest.Event{{Record: `{}`}}, 20)

func TestHowManyPass(t *testing.T) {
	// Each number is how many of 20 records pass, a second after those before.
	f := func(want []int, keysAndValues ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), keysAndValues...)
			var got []int
			for range want {
				got = append(got, len(plugintest.Filtered(t, filter, "t", many...)))
				time.Sleep(time.Second)
			}
			if !slices.Equal(got, want) {
				t.Errorf("with %q so many records pass: %v, expected %v", keysAndValues, got, want)
			}
		})
	}
	f([]int{5, 0, 0, 0, 0, 5, 0})
	f([]int{6, 0, 6, 0, 6}, "Rate", "3", "Window", "2")
	f([]int{3, 0, 3}, "Rate", "1.5", "Window", "2")
	f([]int{20, 4, 0, 20, 4}, "Rate", "8", "Window", "3")
	f([]int{6, 0, 0, 0, 6}, "Rate", "3", "Window", "2", "Interval", "2s")
	f([]int{5, 0}, "Rate", "0.2")
	f([]int{10, 0}, "Rate", "2", "Window", "1")
	f([]int{6, 0, 6}, "Rate", "3", "Window", "2", "Interval", "0.1")
	f([]int{6, 0, 6}, "Rate", "3", "Window", "2", "Interval", "soon")
}

func TestIntervals(t *testing.T) {
	f := func(s string, want time.Duration, wantOK bool) {
		t.Helper()
		if d, ok := parseInterval(s); d != want || ok != wantOK {
			t.Errorf("%q is %v (%v), expected %v (%v)", s, d, ok, want, wantOK)
		}
	}
	f("1", time.Second, true)
	f("10s", 10*time.Second, true)
	f("1.5m", 90*time.Second, true)
	f("2h", 2*time.Hour, true)
	f("1d", 24*time.Hour, true)
	f("2.9", 2*time.Second, true)
	f("0.5", time.Second, true)
	f("0", time.Second, false)
	f("-3", time.Second, false)
	f("", time.Second, false)
	f("10x", 10*time.Second, false)
	f("3ms", 3*time.Second, false)
	f("1e300", 9223372035*time.Second, true)
}

func TestAWindowThatTakesAllMemoryIsRefused(t *testing.T) {
	if _, err := plugintest.TryFilter(Def(), plugintest.Env(t), "window", "4000000000"); err == nil {
		t.Error("it is taken")
	}
}

func TestSeveralGoroutinesShareTheWindow(t *testing.T) {
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "Rate", "100", "Window", "10", "Interval", "1h")
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 4 {
		wg.Go(func() {
			for range 100 {
				b := event.NewBatch("t")
				for range 10 {
					b.Add(0)
				}
				_ = filter.Filter(context.Background(), b)
				mu.Lock()
				passed += len(b.Events)
				mu.Unlock()
				b.Free()
			}
		})
	}
	wg.Wait()
	if passed != 1000 {
		t.Errorf("%d records passed, expected 1000", passed)
	}
}

func TestStatusIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, log := plugintest.LoggedEnv(t)
		filter := plugintest.NewFilter(t, Def(), env, "print_status", "on", "rate", "2")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- filter.(*Filter).Run(ctx, nil) }()
		plugintest.Filtered(t, filter, "t", many...)
		time.Sleep(1500 * time.Millisecond)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if !strings.Contains(log.String(), "limit=2 interval=1 window=5 current_rate=2") {
			t.Errorf("the log has no status: %s", log)
		}
	})
}

func TestNothingIsAllocated(t *testing.T) {
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "rate", "1000000")
	if n := plugintest.AllocsPerEvent(t, filter, `{"a":1}`); n > 0.01 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func FuzzInterval(f *testing.F) {
	f.Add("1.5m")
	f.Add("infd")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1000 {
			return
		}
		if d, _ := parseInterval(s); d < time.Second {
			t.Errorf("%q is %v", s, d)
		}
	})
}
