//go:build !race

// The race detector makes pools forget at random, so allocations are counted without it.

package rewrite_tag

import (
	"context"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// sink frees what it is given.
type sink struct{}

func (sink) Emit(_ context.Context, b *event.Batch) error { b.Free(); return nil }

const record = `{"log":"a line of text","level":"error","kubernetes":{"namespace_name":"shop","pod_name":"cart-5f7"}}`

func TestAllocations(t *testing.T) {
	f := func(name, rule string) {
		t.Helper()
		filter, _ := withEmitter(t, sink{}, rule)
		if n := plugintest.AllocsPerEvent(t, filter, record); n > 0.02 {
			t.Errorf("%s: %.3f allocations per event, want about none", name, n)
		}
	}
	f("no match", "$level ^(info|warn)$ new.$1 false")
	f("missing key", "$nothing .* new false")
	f("moved", "$level ^error$ new.$TAG[0] false")
	f("moved by capture", "$level ^(error)$ new.$1.$kubernetes['namespace_name'] false")
	f("kept", "$level ^(error)$ new.$1.$TAG true")
}

func BenchmarkNoMatch(b *testing.B) {
	f, _ := withEmitter(b, sink{}, "$level ^(info|warn)$ new.$1 false")
	plugintest.BenchmarkFilter(b, f, record)
}

func BenchmarkMoved(b *testing.B) {
	f, _ := withEmitter(b, sink{}, "$level ^(error)$ new.$1.$kubernetes['namespace_name'] false")
	plugintest.BenchmarkFilter(b, f, record)
}
