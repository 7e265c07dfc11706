package pipetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// Failure is an expectation that was not met.
type Failure struct {
	Output  string
	Pos     option.Pos // in the test file
	Message string
	Lines   []Line // the difference, or the records it is about
}

// String gives the failure on one line, without its place.
func (f Failure) String() string {
	if f.Output == "" {
		return f.Message
	}
	return f.Output + ": " + f.Message
}

// Line is one line of a difference.
type Line struct {
	Op   Op
	Path string // of a field; "" for a heading
	Text string
}

// Op says which side a Line is of.
type Op byte

// The sides.
const (
	Same     Op = ' '
	Expected Op = '-'
	Actual   Op = '+'
	Heading  Op = '#'
)

// compare sets the failures.
func (res *Result) compare() {
	seen := map[string]bool{}
	for i := range res.Test.Expect {
		e := &res.Test.Expect[i]
		got := res.arrived(e.Output)
		seen[got.Name] = true
		e.compare(got.Events, func(pos option.Pos, lines []Line, format string, args ...any) {
			res.Failures = append(res.Failures, Failure{Output: e.Output, Pos: pos, Message: fmt.Sprintf(format, args...), Lines: lines})
		})
	}
	if len(seen) == 0 && !res.Test.Only {
		res.Failures = append(res.Failures, Failure{Pos: res.Test.Pos, Message: "the test does not say what it expects; --update writes down what arrives"})
	}
	for _, o := range res.Outputs {
		if res.Test.Only && !seen[o.Name] && len(o.Events) > 0 {
			res.Failures = append(res.Failures, Failure{Output: o.ID, Pos: res.Test.Pos,
				Message: fmt.Sprintf("nothing was expected, but %s arrived", count(len(o.Events))), Lines: listed(o.Events, nil)})
		}
	}
}

// arrived returns what the output got that Run has found by this name.
func (res *Result) arrived(name string) Arrived {
	a, err := find(res.Outputs, name, func(a Arrived) (string, string, string) {
		plugin, _, _ := strings.Cut(a.Name, ".")
		return a.ID, a.Name, plugin
	})
	if err != nil {
		panic("BUG: an output is not found any more: " + err.Error())
	}
	return a
}

type reportFunc func(pos option.Pos, lines []Line, format string, args ...any)

// compare reports what is not as expected.
func (e *Expect) compare(got []Event, fail reportFunc) {
	if e.Nothing && len(got) > 0 {
		fail(e.Pos, listed(got, nil), "nothing was expected, but %s arrived", count(len(got)))
	}
	if e.HasExact {
		e.compareExact(got, fail)
	}
	if len(e.Contains) > 0 {
		e.compareContains(got, fail)
	}
	n := event.Value(event.AppendInt(nil, int64(len(got))))
	for _, c := range e.count {
		if !c.ok(n, true) {
			fail(e.countPos, nil, "%s arrived, but count must be %s", count(len(got)), strings.TrimPrefix(c.text, "is "))
		}
	}
	e.compareConditions(got, fail)
	for i, ev := range got {
		if e.Tag != "" && ev.Tag != e.Tag {
			fail(e.Pos, []Line{{Expected, "tag", e.Tag}, {Actual, "tag", ev.Tag}}, "record %d of %d has another tag", i+1, len(got))
			break
		}
	}
}

func (e *Expect) compareConditions(got []Event, fail reportFunc) {
	for i, ev := range got {
		for _, c := range e.Where {
			if text := c.failed(ev.Record); text != "" {
				fail(c.Pos, oneField(ev, c.Field), "record %d of %d does not fit: %s %s", i+1, len(got), c.Field, text)
			}
		}
		if len(e.None) > 0 && allHold(e.None, ev.Record) {
			fail(e.None[0].Pos, listed(got[i:i+1], nil), "record %d of %d is one that must not come: %s", i+1, len(got), conditionText(e.None))
		}
	}
	if len(e.Where) > 0 && len(got) == 0 {
		fail(e.Where[0].Pos, nil, "no record arrived that could fit; if that is right, expect nothing")
	}
	if len(e.Some) > 0 && !slices.ContainsFunc(got, func(ev Event) bool { return allHold(e.Some, ev.Record) }) {
		fail(e.Some[0].Pos, listed(got, nil), "no record of %d fits: %s", len(got), conditionText(e.Some))
	}
}

func oneField(ev Event, name string) []Line {
	if v, ok := lookup(ev.Record, name); ok {
		return []Line{{Actual, name, show(v)}}
	}
	return listed([]Event{ev}, nil)
}

// matches tells whether an event is the wanted one.
func (e *Expect) matches(w *Want, ev *Event) bool {
	switch {
	case w.Tag != nil && *w.Tag != ev.Tag, w.Time != nil && *w.Time != ev.Time, w.Meta != nil && !equal(w.Meta, ev.Meta):
		return false
	}
	return w.Record == nil || equal(without(w.Record, e.Ignore), without(ev.Record, e.Ignore))
}

func (e *Expect) compareExact(got []Event, fail reportFunc) {
	pairs := align(len(e.Exact), len(got), !e.AnyOrder,
		func(i, j int) bool { return e.matches(&e.Exact[i], &got[j]) },
		func(i, j int) float64 { return similarity(e.Exact[i].Record, got[j].Record) })
	for _, p := range pairs {
		switch {
		case p.same:
		case p.want < 0:
			fail(e.Pos, e.show(&got[p.got], Actual), "record %d of %d was not expected", p.got+1, len(got))
		case p.got < 0:
			w := &e.Exact[p.want]
			fail(w.Pos, e.showWant(w), "record %d of the expected %d is missing", p.want+1, len(e.Exact))
		default:
			w := &e.Exact[p.want]
			which := fmt.Sprintf("record %d of %d", p.got+1, len(got))
			if p.got != p.want {
				which += fmt.Sprintf(", expected as number %d,", p.want+1)
			}
			fail(w.Pos, e.diff(w, &got[p.got]), "%s is different", which)
		}
	}
}

func (e *Expect) compareContains(got []Event, fail reportFunc) {
	found := assign(len(e.Contains), len(got), func(i, j int) bool { return subset(e.Contains[i].Record, got[j].Record) })
	for i, ok := range found {
		if ok {
			continue
		}
		w := &e.Contains[i]
		best, closest := 0.0, -1
		for j := range got {
			if s := similarity(w.Record, got[j].Record); s > best {
				best, closest = s, j
			}
		}
		if closest < 0 {
			fail(w.Pos, e.showWant(w), "no record of %d contains this", len(got))
			continue
		}
		fail(w.Pos, partDiff(w.Record, got[closest].Record), "no record of %d contains this; the closest is number %d", len(got), closest+1)
	}
}

func count(n int) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

// maxListed is how many records a failure lists.
const maxListed = 10

// listed shows whole records, one on a line.
func listed(got []Event, ignore []string) []Line {
	var out []Line
	for i, ev := range got {
		if i == maxListed {
			out = append(out, Line{Heading, "", fmt.Sprintf("and %s more", count(len(got)-i))})
			break
		}
		out = append(out, Line{Actual, "", show(without(ev.Record, ignore))})
	}
	return out
}
