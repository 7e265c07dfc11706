package interval

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/option"
)

func TestDuration(t *testing.T) {
	f := func(sec, nsec string, want time.Duration) {
		t.Helper()
		var o Options
		props := []option.Property{option.Prop("Interval_Sec", sec), option.Prop("Interval_NSec", nsec)}
		if err := option.Decode(o.Fields(), props, "", option.Pos{}).Err(); err != nil {
			t.Fatal(err)
		}
		if got := o.Duration(); got != want {
			t.Errorf("%s s and %s ns make %v, expected %v", sec, nsec, got, want)
		}
	}
	f("1", "0", time.Second)
	f("0", "500000000", time.Second/2)
	f("2", "5", 2*time.Second+5)
	f("0", "0", time.Second)
	f("-1", "-1", time.Second)
	f("-1", "7", 7)
	f("soon", "0", time.Second)
}

func TestRunCallsAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		var at []time.Duration
		start := time.Now()
		if err := Run(ctx, time.Second, func() error { at = append(at, time.Since(start)); return nil }); err != nil {
			t.Errorf("Run returned %v", err)
		}
		if len(at) != 3 || at[0] != time.Second || at[2] != 3*time.Second {
			t.Errorf("called after %v", at)
		}
	})
}

func TestRunReturnsTheErrorUnlessItIsToldToEnd(t *testing.T) {
	wrong := errors.New("wrong")
	if err := Run(t.Context(), 1, func() error { return wrong }); err != wrong {
		t.Errorf("Run returned %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := Run(ctx, 1, func() error { cancel(); return wrong }); err != nil {
		t.Errorf("Run returned %v after its context ended", err)
	}
}
