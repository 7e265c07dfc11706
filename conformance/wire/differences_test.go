package wire

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const maxDifferences = 12

// differences tells where what came differs from what was expected, one entry
// each with the place, "- expected" and "+ came".
func differences(want, got any) []string {
	var d differ
	d.compare("requests", want, got)
	if n := len(d.found) - maxDifferences; n > 0 {
		d.found = append(d.found[:maxDifferences], fmt.Sprintf("and %d more", n))
	}
	return d.found
}

type differ struct{ found []string }

// absent stands for what is on one side only.
type absent struct{}

func (d *differ) compare(place string, want, got any) {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			d.objects(place, w, g)
			return
		}
	case []any:
		if g, ok := got.([]any); ok {
			for i := range max(len(w), len(g)) {
				d.compare(fmt.Sprintf("%s[%d]", place, i), at(w, i), at(g, i))
			}
			return
		}
	case json.Number, float64:
		if equalNumbers(want, got) {
			return
		}
	default:
		if want == got {
			return
		}
	}
	entry := place
	if want != (absent{}) {
		entry += "\n  - " + abridged(want)
	}
	if got != (absent{}) {
		entry += "\n  + " + abridged(got)
	}
	d.found = append(d.found, entry)
}

func (d *differ) objects(place string, want, got map[string]any) {
	for _, k := range sortedKeys(want) {
		d.compare(place+"."+k, want[k], member(got, k))
	}
	for _, k := range sortedKeys(got) {
		if k == "content-type" && strings.HasSuffix(place, ".headers") {
			continue // to say more than the recorded client did is allowed
		}
		if _, ok := want[k]; !ok {
			d.compare(place+"."+k, absent{}, got[k])
		}
	}
}

func member(m map[string]any, k string) any {
	if v, ok := m[k]; ok {
		return v
	}
	return absent{}
}

func at(a []any, i int) any {
	if i < len(a) {
		return a[i]
	}
	return absent{}
}

// equalNumbers compares whole numbers exactly and others as far as their
// spellings may differ. A whole number and a float can be equal.
func equalNumbers(a, b any) bool {
	x, whole := a.(json.Number)
	y, whole2 := b.(json.Number)
	if whole && whole2 {
		return x == y
	}
	f, ok := asFloat(a)
	g, ok2 := asFloat(b)
	return ok && ok2 && (f == g || math.Abs(f-g) <= max(1e-6, 1e-12*math.Abs(f)))
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case float64:
		return v, true
	}
	return 0, false
}

// abridged is a value in one line of bearable length.
func abridged(v any) string {
	const limit = 400
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	text := ""
	if err := e.Encode(v); err == nil {
		text = strings.TrimSuffix(b.String(), "\n")
	} else { // infinite numbers
		text = encode(v)
	}
	if s := []rune(text); len(s) > limit {
		return fmt.Sprintf("%s… (%d characters)", string(s[:limit]), len(s))
	}
	return text
}

// TestEveryDifferenceIsFound changes and removes each part of each expectation
// in turn: the runner must notice all of it.
func TestEveryDifferenceIsFound(t *testing.T) {
	dirs, err := filepath.Glob("cases/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		_, want := loadCase(t, dir)
		if found := differences(want, shorten(want)); found != nil {
			t.Errorf("%s: an expectation differs from itself: %v", dir, found)
		}
		notice := func(what string, changed any) {
			if len(differences(want, changed)) == 0 {
				t.Errorf("%s: not noticed: %s", dir, what)
			}
		}
		notice("one request more", append(slices.Clone(want), map[string]any{"call": map[string]any{}}))
		vary("", want, notice)
	}
}

// vary calls f with copies of v that differ from it in one place each.
func vary(place string, v any, f func(what string, changed any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if k != "content-type" { // is allowed where it is not expected, so only its absence counts
				more := maps.Clone(v)
				more[k+"'"] = x
				f(place+"."+k+" twice", more)
			}
			less := maps.Clone(v)
			delete(less, k)
			f(place+"."+k+" missing", less)
			vary(place+"."+k, x, func(what string, changed any) {
				other := maps.Clone(v)
				other[k] = changed
				f(what, other)
			})
		}
	case []any:
		for i, x := range v {
			at := fmt.Sprintf("%s[%d]", place, i)
			f(at+" missing", slices.Delete(slices.Clone(v), i, i+1))
			f(at+" twice", slices.Insert(slices.Clone(v), i, x))
			vary(at, x, func(what string, changed any) {
				other := slices.Clone(v)
				other[i] = changed
				f(what, other)
			})
		}
	case string:
		f(place, v+"x")
	case bool:
		f(place, !v)
	case json.Number:
		f(place, v+"1")
		f(place+" as text", v.String())
	case float64:
		f(place, v*1.01+0.01)
		f(place+" as text", fmt.Sprint(v))
	case nil:
		f(place, false)
		f(place, "")
	}
}
