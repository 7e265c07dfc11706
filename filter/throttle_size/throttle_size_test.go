package throttle_size

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

// of makes n records.
func of(n int, record string) []plugintest.Event {
	return slices.Repeat([]plugintest.Event{{Record: record}}, n)
}

func TestHowMuchPasses(t *testing.T) {
	// Each number is how many of 20 records pass, a second after those before.
	f := func(want []int, record string, keysAndValues ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), keysAndValues...)
			var got []int
			for range want {
				got = append(got, len(plugintest.Filtered(t, filter, "t", of(20, record)...)))
				time.Sleep(time.Second)
			}
			if !slices.Equal(got, want) {
				t.Errorf("with %q so many records %s pass: %v, expected %v", keysAndValues, record, got, want)
			}
		})
	}
	const ten = `{"log":"1234567"}`
	f([]int{20, 20}, ten)
	f([]int{10, 0, 0, 0, 0, 10, 0}, ten, "rate", "20")
	f([]int{6, 0, 6, 0}, ten, "rate", "30", "window", "2")
	f([]int{6, 0, 0, 0, 6}, ten, "rate", "30", "window", "2", "interval", "2s")
	f([]int{8, 0, 8}, ten, "rate", "30", "window", "2", "log_field", "log")
	f([]int{20, 20}, ten, "rate", "3", "log_field", "nope")
	f([]int{20, 20}, ten, "rate", "3", "name_field", "nope")
	f([]int{0, 0}, ten, "rate", "1", "window", "2")
	f([]int{8, 0, 8}, `{"a":{"b":"1234567"},"n":5}`, "rate", "30", "window", "2", "log_field", "a|b", "name_field", "a|b")
	f([]int{20}, `{"a":{"b":"1234567"},"n":5}`, "rate", "3", "log_field", "a|c")
	f([]int{20}, `{"a":{"b":"1234567"},"n":5}`, "rate", "3", "log_field", "n|c")
	f([]int{20}, `{"a":{"b":"1234567"},"n":5}`, "rate", "3", "name_field", "n")
	f([]int{11}, `{"a":["12",{"x":"345"},6]}`, "rate", "14", "log_field", "a")
	f([]int{6, 0, 6}, ten, "rate", "30", "window", "2", "interval", "soon")
}

func TestEveryNameHasItsWindow(t *testing.T) {
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "rate", "10", "window", "2", "interval", "1h", "name_field", "n", "log_field", "l")
	records := append(of(5, `{"n":"a","l":"1234567890"}`), of(5, `{"n":"b","l":"12345"}`)...)
	if got := len(plugintest.Filtered(t, filter, "t", records...)); got != 6 {
		t.Errorf("%d records pass, expected 2 and 4", got)
	}
}

func TestIdleWindowsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "name_field", "n", "window_time_duration", "10").(*Filter)
		f := func(want int, name string) {
			t.Helper()
			plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{"n":"` + name + `"}`})
			if got := len(filter.windows.byName); got != want {
				t.Errorf("there are %d windows, expected %d", got, want)
			}
		}
		f(1, "a")
		time.Sleep(9 * time.Second)
		f(2, "b")
		time.Sleep(3 * time.Second)
		f(2, "c")
		time.Sleep(time.Hour)
		f(1, "d")
	})
}

func TestThereIsALimitToNames(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	filter := plugintest.NewFilter(t, Def(), env, "name_field", "n", "interval", "1h", "window", "2").(*Filter)
	for i := range maxWindows + 1 {
		filter.windows.add([]byte(strconv.Itoa(i)), 1)
	}
	left := plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{"n":"new"}`})
	if len(filter.windows.byName) != maxWindows || len(left) != 1 || !strings.Contains(log.String(), "too many windows") {
		t.Errorf("there are %d windows, %d records pass", len(filter.windows.byName), len(left))
	}
}

func TestStatusIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, log := plugintest.LoggedEnv(t)
		filter := plugintest.NewFilter(t, Def(), env, "print_status", "on").(*Filter)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- filter.Run(ctx, nil) }()
		plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{"a":"1234"}`})
		time.Sleep(1500 * time.Millisecond)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if !strings.Contains(log.String(), "window_name=* total=5 rate=1") {
			t.Errorf("the log has no status: %s", log)
		}
	})
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, props := range [][]string{{"window", "1000000"}, {"log_field", strings.Repeat("a|", 21)}} {
		if _, err := plugintest.TryFilter(Def(), plugintest.Env(t), props...); err == nil {
			t.Errorf("options %q are taken", props)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "rate", "1G", "name_field", "k|n", "log_field", "log")
	if n := plugintest.AllocsPerEvent(t, filter, `{"log":"x","k":{"n":"pod"}}`); n > 0.01 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("1.5m")
	f.Add("1e300d")
	f.Fuzz(func(t *testing.T, s string) {
		log := plugintest.Env(t).Log
		if d := duration(log, "interval", s, time.Second); d < time.Second || d*maxWindow < 0 {
			t.Errorf("%q is %v", s, d)
		}
	})
}

func BenchmarkThrottleSize(b *testing.B) {
	filter := plugintest.NewFilter(b, Def(), plugintest.Env(b), "rate", "1G")
	plugintest.BenchmarkFilter(b, filter, `{"log":"some text in a record","k":{"n":"pod"}}`)
}
