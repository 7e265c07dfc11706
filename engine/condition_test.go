package engine

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// met returns the numbers of the events for which the condition holds.
func met(t *testing.T, c *config.Condition) string {
	t.Helper()
	cond, err := newCondition(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	var got [2]strings.Builder
	for opened := range got {
		b := event.NewBatch("app.web")
		for i, record := range []string{
			`{"lvl":"error","n":5,"k":{"z":"deep","l":["a","b"]},"f":5.5,"ok":true,"nil":null}`,
			`{"lvl":"info","n":1,"f":0.0000001}`,
			`{"n":9}`,
			`{"lvl":"warn","n":"5.5 ms","k":{"z":"no"},"a":[1]}`,
		} {
			e := b.Add(0)
			e.SetRecord(plugintest.Value(t, record))
			e.Meta = plugintest.Value(t, fmt.Sprintf(`{"i":%d}`, i))
			if opened == 1 {
				e.Fields()
			}
			if cond.holds(e) {
				fmt.Fprint(&got[opened], i)
			}
		}
		b.Free()
	}
	if got[0].String() != got[1].String() {
		t.Errorf("%+v holds for %s, but with opened records for %s", c, &got[0], &got[1])
	}
	return got[0].String()
}

func TestRules(t *testing.T) {
	f := func(want string, r config.Rule) {
		t.Helper()
		if got := met(t, &config.Condition{Op: "and", Rules: []config.Rule{r}}); got != want {
			t.Errorf("%+v holds for the events %q, want %q", r, got, want)
		}
	}
	f("0", config.Rule{Field: "$lvl", Op: "eq", Text: "error"})
	f("123", config.Rule{Field: "$lvl", Op: "neq", Text: "error"}) // a missing field is empty text
	f("0", config.Rule{Field: "$n", Op: "eq", Text: "5"})
	f("0", config.Rule{Field: "$f", Op: "eq", Text: "5.500000"})
	f("0", config.Rule{Field: "$ok", Op: "eq", Text: "true"})
	f("0", config.Rule{Field: "$nil", Op: "eq", Text: "null"})
	f("0", config.Rule{Field: "$k['z']", Op: "eq", Text: "deep"})
	f("0", config.Rule{Field: "$k['l'][1]", Op: "eq", Text: "b"})
	f("0", config.Rule{Field: "$lvl['x']", Op: "eq", Text: "error"}) // a field that is no map counts itself
	f("023", config.Rule{Field: "$n", Op: "gte", Number: 5})
	f("23", config.Rule{Field: "$n", Op: "gt", Number: 5})
	f("1", config.Rule{Field: "$n", Op: "lt", Number: 5})
	f("01", config.Rule{Field: "$n", Op: "lte", Number: 5})
	f("0", config.Rule{Field: "$f", Op: "gt", Number: 0}) // six digits behind the point count
	f("123", config.Rule{Field: "$f", Op: "lte", Number: 0})
	f("013", config.Rule{Field: "$lvl", Op: "regex", Text: "[eiw]"})
	f("23", config.Rule{Field: "$lvl", Op: "not_regex", Text: "o"})
	f("13", config.Rule{Field: "$lvl", Op: "in", List: []string{"info", "warn"}})
	f("02", config.Rule{Field: "$lvl", Op: "not_in", List: []string{"info", "warn"}})
	f("2", config.Rule{Field: "$i", Op: "eq", Text: "2", Context: "metadata"})
	f("", config.Rule{Field: "$i", Op: "eq", Text: "2"})
	// Text around a path counts, and without a path it is all there is.
	f("0", config.Rule{Field: "x $lvl.y", Op: "eq", Text: "x error.y"})
	f("", config.Rule{Field: "lvl", Op: "eq", Text: "error"})
	f("0123", config.Rule{Field: "lvl", Op: "eq", Text: "lvl"})
}

func TestRulesAboutWhatHasNoTextFail(t *testing.T) {
	f := func(want string, r config.Rule) {
		t.Helper()
		if got := met(t, &config.Condition{Op: "and", Rules: []config.Rule{r}}); got != want {
			t.Errorf("%+v holds for the events %q, want %q", r, got, want)
		}
	}
	f("012", config.Rule{Field: "$a", Op: "neq", Text: "x"})
	f("012", config.Rule{Field: "a $a", Op: "neq", Text: "x"})
	f("012", config.Rule{Field: "$a", Op: "not_regex", Text: "x"})
	f("012", config.Rule{Field: "$a", Op: "not_in", List: []string{"x"}})
	f("", config.Rule{Field: "$TAG", Op: "eq", Text: "app.web"})
	f("", config.Rule{Field: "$TAG[0]", Op: "neq", Text: "x"})
	f("", config.Rule{Field: "$0", Op: "neq", Text: "x"})
	f("0", config.Rule{Field: "$lvl $TAG", Op: "eq", Text: "error "})
}

func TestAndOr(t *testing.T) {
	rules := []config.Rule{{Field: "$lvl", Op: "eq", Text: "error"}, {Field: "$n", Op: "gt", Number: 5}}
	for op, want := range map[string]string{"and": "", "or": "023"} {
		if got := met(t, &config.Condition{Op: op, Rules: rules}); got != want {
			t.Errorf("%s: the condition holds for %q, want %q", op, got, want)
		}
	}
}

func TestConditionsAllocateNothing(t *testing.T) {
	c, err := newCondition(&config.Condition{Op: "and", Rules: []config.Rule{
		{Field: "$n", Op: "gt", Number: 1}, {Field: "$f", Op: "lt", Number: 10.5},
		{Field: "$lvl", Op: "regex", Text: "^(error|warn)$"}, {Field: "$lvl", Op: "in", List: []string{"a", "error"}},
		{Field: "x $lvl", Op: "neq", Text: "x"}, {Field: "$k['z']", Op: "eq", Text: "deep"},
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b := event.NewBatch("t")
	defer b.Free()
	e := b.Add(0)
	e.SetRecord(plugintest.Value(t, `{"lvl":"error","n":5,"k":{"z":"deep"},"f":5.5}`))
	if !c.holds(e) {
		t.Fatal("the condition does not hold")
	}
	if n := testing.AllocsPerRun(100, func() { c.holds(e) }); n > 0 && !plugintest.RaceDetector {
		t.Errorf("%v allocations, want none", n)
	}
}

// A pattern that takes too many steps is told of, and does not match.
func TestConditionsTellOfPatternsThatTakeTooLong(t *testing.T) {
	var out bytes.Buffer
	for op, want := range map[string]bool{"regex": false, "not_regex": true} {
		c, bad := newCondition(&config.Condition{Op: "and", Rules: []config.Rule{{Field: "$k", Op: op, Text: `^((?<b>x*)*\k<b>y)*$`}}},
			slog.New(slog.NewTextHandler(&out, nil)))
		if bad != nil {
			t.Fatal(bad)
		}
		b := event.NewBatch("t")
		e := b.Add(0)
		e.SetRecord(plugintest.Value(t, `{"k":"`+strings.Repeat("x", 200)+`"}`))
		if c.holds(e) != want {
			t.Errorf("%s does not say %v", op, want)
		}
		b.Free()
	}
	if n := strings.Count(out.String(), "given up"); n != 2 {
		t.Errorf("it is told %d times, want 2: %s", n, &out)
	}
}
