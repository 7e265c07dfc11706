package parser_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser"
)

// TestBuiltin compares with testdata/builtin.txt, which says how it is to be
// read.
func TestBuiltin(t *testing.T) {
	text, err := os.ReadFile("testdata/builtin.txt")
	if err != nil {
		t.Fatal(err)
	}
	var p *parser.Parser
	var line string
	var seen []string
	for row := range strings.Lines(string(text)) {
		row = strings.TrimSuffix(row, "\n")
		switch {
		case row == "" || row[0] == '#':
		case row[0] == '[' && strings.HasSuffix(row, "]"):
			name := row[1 : len(row)-1]
			if p = parser.NewBuiltin(name); p == nil {
				t.Fatalf("there is no parser %s", name)
			}
			seen = append(seen, name)
		case !strings.HasPrefix(row, "  "):
			line = row
		default:
			got, ns := parse(p, line)
			gotTime := "none"
			if ns != 42 {
				gotTime = fmt.Sprintf("%d.%09d", ns/1e9, ns%1e9)
				if strings.HasPrefix(row, "  year ") && time.Unix(0, ns).UTC().Year() == time.Now().UTC().Year() {
					gotTime = "year"
				}
			}
			if got != "no" {
				got = gotTime + " " + got
			}
			if want := row[2:]; got != want {
				t.Errorf("%s of %s:\ngot  %s\nwant %s", p.Name(), line, got, want)
			}
		}
	}
	for _, name := range parser.BuiltinNames() {
		if p := parser.NewBuiltin(name); !p.Builtin() || p.Name() != name {
			t.Errorf("%s: the name is %s, built in: %v", name, p.Name(), p.Builtin())
		}
		if name != "ltsv" && !slices.Contains(seen, name) {
			t.Errorf("testdata/builtin.txt has nothing about %s", name)
		}
	}
	if parser.NewBuiltin("none") != nil {
		t.Error("there is a parser none")
	}
}

// FuzzBuiltin checks that no text makes a built-in parser panic or give a
// record that is not one complete map.
func FuzzBuiltin(f *testing.F) {
	var all []*parser.Parser
	for _, name := range parser.BuiltinNames() {
		all = append(all, parser.NewBuiltin(name))
	}
	text, err := os.ReadFile("testdata/builtin.txt")
	if err != nil {
		f.Fatal(err)
	}
	for row := range strings.Lines(string(text)) {
		f.Add([]byte(strings.TrimSuffix(row, "\n")))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		b := event.NewBatch("t")
		defer b.Free()
		for _, p := range all {
			e := b.Add(42)
			p.Parse(line, e)
			if _, rest, err := event.Next(e.Record()); err != nil || len(rest) > 0 {
				t.Fatalf("%s: record %x is no single value: %v", p.Name(), e.Record(), err)
			}
		}
	})
}
