package pipetest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/parser/multiline"
	"github.com/kagarilog/kagari/pipetest"
)

// regexTrial is the trial of an expression.
func regexTrial(t testing.TB, pattern string, pairs ...string) *pipetest.Trial {
	t.Helper()
	props := []option.Property{option.Prop("format", "regex"), option.Prop("regex", pattern)}
	for i := 0; i < len(pairs); i += 2 {
		props = append(props, option.Prop(pairs[i], pairs[i+1]))
	}
	p, ps := parser.New("try", props, option.Pos{})
	if p == nil {
		t.Fatal(ps.Err())
	}
	return pipetest.NewTrial(p)
}

// TestWhereAMatchStops: the line is written with a bar where the expression
// stops, and so is the expression.
func TestWhereAMatchStops(t *testing.T) {
	f := func(line, pattern string) {
		t.Helper()
		before, after, _ := strings.Cut(line, "¦")
		fits, next, _ := strings.Cut(pattern, "¦")
		rd := regexTrial(t, fits+next).Read([]byte(before + after))
		if rd.Fits || rd.Stop == nil {
			t.Errorf("%s: fits %v, stop %v", line, rd.Fits, rd.Stop)
			return
		}
		if s := rd.Stop; s.At != len(before) || s.Fits != fits || s.Next != next {
			t.Errorf("%s: stops at %d, %q ¦ %q; want %d, %q ¦ %q", line, s.At, s.Fits, s.Next, len(before), fits, next)
		}
	}
	f("abc ¦def", `^(?<a>\w+) ¦(?<b>\d+)$`)
	f("abc 1¦x", `^(?<a>\w+) (?<b>\d+)¦$`)
	f("¦abc", `¦(?<a>\d)`)
	f("é 1¦ x", `^(?<a>é) \d{1,3}¦\]`)
	f("ab¦c", `(?<a>[]a-b]{2})[[:digit:]]?+¦d`)
	f("ab¦", `(?<a>(?:a|\(b)(b|c))¦(x|\)y)`)
	f("a¦", `(?<n>\x61)¦\u0062`)
	f("a-¦", `(?<x>a)\-¦\k<x>`)
	f("a¦", `(?<x>a)¦\p{Greek}`)
	f("a¦b", `^(?<x>a)¦$`)
}

// TestWhereAMatchStopsWithin: of alternatives the one that comes furthest is
// told, and slashes and flags are not part of the expression.
func TestWhereAMatchStopsWithin(t *testing.T) {
	for pattern, want := range map[string]string{
		`^(?<n>\d+) s|^(?<n>\d+)m`:     `3 ^(?<n>\d+)  s`,
		`/^(?<n>\D\D)|\d+ MS(?<n>c)/i`: `5 \d+ MS (?<n>c)`,
	} {
		rd := regexTrial(t, pattern).Read([]byte("10 ms"))
		if rd.Stop == nil {
			t.Errorf("%s: no stop", pattern)
		} else if got := fmt.Sprint(rd.Stop.At, " ", rd.Stop.Fits, " ", rd.Stop.Next); got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
	// What takes too long is not told.
	if rd := regexTrial(t, `^(?<a>(?=(a+)+\k<a>?b)?(\w+\w+)+)$`).Read([]byte(strings.Repeat("a", 90) + "!")); rd.Fits {
		t.Errorf("%+v", rd)
	}
}

func TestTimesAndTypes(t *testing.T) {
	tr := regexTrial(t, `^(?<time>\S+)(?: (?<n>\d+))?$`, "time_format", "%Y-%m-%d", "types", "n:integer")
	rd := tr.Read([]byte("2026-01-31 7"))
	if !rd.Fits || !rd.HasTime || rd.Time != 1769817600e9 || string(rd.Record) != "\x81\xa1n\x07" || len(rd.Groups) != 2 || len(rd.Notes) != 0 {
		t.Errorf("%+v", rd)
	}
	if rd = tr.Read([]byte("yesterday 7")); !rd.Fits || rd.HasTime || len(rd.Notes) != 1 || !strings.Contains(rd.Notes[0], "yesterday") {
		t.Errorf("%+v", rd)
	}
}

func TestWhyTextIsNoJSON(t *testing.T) {
	tr := pipetest.NewTrial(parser.NewBuiltin("json"))
	for line, want := range map[string]string{
		`{"a":1,}`: `7 expected a key in quotes`, `{"a":`: `5 the line ends inside of the value`,
		`[1]`: `0 it is no object, but a value of type list`, `{} x`: `3 something follows the object`, ``: `0 the line ends inside of the value`,
	} {
		rd := tr.Read([]byte(line))
		if rd.Fits {
			continue // what the parser forgives
		}
		if got := fmt.Sprint(rd.Stop.At, " ", rd.Stop.Reason); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// TestTrialInColours: fields have the colours of their names, also those inside
// of others.
func TestTrialInColours(t *testing.T) {
	var b strings.Builder
	rep := &pipetest.TrialReporter{W: &b, Color: true, WantsTime: true}
	tr := regexTrial(t, `^(?<request>(?<method>[A-Z]+) \S+) (?<code>\d+)`)
	for i, line := range []string{"GET /a 200 rest\x1b[0m", "get /b 200"} {
		rep.Report(i+1, tr.Read([]byte(line)))
	}
	rep.Summary("try")
	golden(t, "testdata/trial.txt", strings.ReplaceAll(b.String(), "\x1b", "␛"))
}

func TestJoin(t *testing.T) {
	j, err := pipetest.NewJoin([]*multiline.Parser{multiline.NewBuiltin("java"), multiline.NewBuiltin("go")})
	if err != nil {
		t.Fatal(err)
	}
	var all []pipetest.Joined
	for _, line := range []string{"one", "java.lang.Exception: x", "\tat a", "\tat b", "two", "panic: oh", "", "goroutine 1 [running]:", "main.main()"} {
		all = append(all, j.Line([]byte(line))...)
	}
	all = append(all, j.End()...)
	var got []string
	for _, r := range all {
		got = append(got, fmt.Sprintf("%d-%d", r.First, r.Last))
	}
	if s := strings.Join(got, " "); s != "1-1 2-4 5-5 6-9" {
		t.Errorf("%s", s)
	}
	var b strings.Builder
	rep := &pipetest.JoinReporter{W: &b, JSON: true}
	rep.Report(all)
	if n := strings.Count(b.String(), "\n"); n != len(all) || !json.Valid([]byte(strings.SplitN(b.String(), "\n", 2)[0])) {
		t.Errorf("%s", b.String())
	}
}

// FuzzStop: the search for where an expression stops ends for every expression
// that compiles, and tells the truth.
func FuzzStop(f *testing.F) {
	for _, name := range parser.BuiltinNames() {
		if p := parser.NewBuiltin(name); p.Spec().Regex != "" {
			f.Add(p.Spec().Regex, "some 10.0.0.1 - - [text] line")
		}
	}
	f.Add(`(?<a>[^[a-z]&&[^\]x]]{2,}+)\k<a>|(?i:\p{Alpha}\x{41}(?#c)b)`, "aa")
	f.Fuzz(func(t *testing.T, pattern, line string) {
		if len(pattern) > 300 || len(line) > 100 {
			return
		}
		p, _ := parser.New("try", []option.Property{option.Prop("format", "regex"), option.Prop("regex", pattern)}, option.Pos{})
		if p == nil {
			return
		}
		rd := pipetest.NewTrial(p).Read([]byte(line))
		if s := rd.Stop; s != nil && (rd.Fits || s.At < 0 || s.At > len(line) || !strings.Contains(pattern, s.Fits+s.Next)) {
			t.Fatalf("%+v", s)
		}
		var b strings.Builder
		(&pipetest.TrialReporter{W: &b, Color: true}).Report(1, rd)
	})
}
