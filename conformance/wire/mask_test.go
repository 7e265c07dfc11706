package wire

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// masking hides what differs from run to run.
type masking struct {
	subst []pattern
	keys  []string // their values do not count
	now   time.Time
}

var (
	unixTime = regexp.MustCompile(`^\d{10,19}(\.\d+)?$`)
	dateTime = regexp.MustCompile(`(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?`)
)

// value replaces numbers and times close to the current time by <now>, and
// what the case names.
func (m *masking) value(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			if slices.Contains(m.keys, k) {
				out[m.text(k)] = "<masked>"
			} else {
				out[m.text(k)] = m.value(x)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = m.value(x)
		}
		return out
	case json.Number:
		if f, err := v.Float64(); err == nil && m.near(f) {
			return "<now>"
		}
	case float64:
		if m.near(v) {
			return "<now>"
		}
	case string:
		return m.text(v)
	}
	return v
}

func (m *masking) text(s string) string {
	for _, p := range m.subst {
		s = p.ReplaceAllLiteralString(s, p.word)
	}
	if unixTime.MatchString(s) {
		if f, err := strconv.ParseFloat(s, 64); err == nil && m.near(f) {
			return "<now>"
		}
	}
	return dateTime.ReplaceAllStringFunc(s, func(match string) string {
		for _, d := range []time.Duration{-12 * time.Hour, 0, 12 * time.Hour} {
			if match[:len(time.DateOnly)] == m.now.Add(d).UTC().Format(time.DateOnly) {
				return "<now>"
			}
		}
		return match
	})
}

// near tells whether x is a Unix time of these hours in seconds, milli-,
// micro- or nanoseconds.
func (m *masking) near(x float64) bool {
	now := float64(m.now.UnixNano()) / 1e9
	for _, scale := range []float64{1, 1e3, 1e6, 1e9} {
		if math.Abs(x/scale-now) < 7200 {
			return true
		}
	}
	return false
}

func TestMasking(t *testing.T) {
	now := time.Now()
	m := masking{now: now, keys: []string{"id"}, subst: []pattern{}}
	var err error
	if m.subst, err = patterns([][2]string{{`-obj\w{4}$`, "-obj<random>"}}); err != nil {
		t.Fatal(err)
	}
	f := func(in any, want string) {
		t.Helper()
		if got := encode(m.value(in)); got != want {
			t.Errorf("%v became %s, want %s", in, got, want)
		}
	}
	const hidden = `"<now>"`
	f(num(now.Unix()), hidden)
	f(num(now.UnixMilli()), hidden)
	f(num(now.UnixNano()), hidden)
	f(float64(now.UnixMicro())/1e6, hidden)
	f(fmt.Sprint(now.UnixNano()), hidden)
	f("at "+now.UTC().Format(time.RFC3339Nano)+"!", `"at <now>!"`)
	f(num(1700000000), "1700000000")
	f("1700000000", `"1700000000"`)
	f("2023-11-14T22:13:20.000Z", `"2023-11-14T22:13:20.000Z"`)
	f("x-objAbcd", `"x-obj<random>"`)
	f(map[string]any{"id": num(5), "n": num(5)}, `{"id": "<masked>", "n": 5}`)
}
