package config

import (
	"strings"
	"testing"

	"github.com/kagarilog/kagari/option"
)

func TestFindPlacesInValues(t *testing.T) {
	src := &Sources{}
	text := strings.Join([]string{
		"pipeline:",
		"  - code: |",
		"      local a = x",
		"      local b = x",
		"    other: local b = x",
		"  - re: 'it''s (é'",
		"  - folded: >",
		"      one two",
		"      three four",
		"  - last: gone",
		"    more: elsewhere",
	}, "\n")
	if err := src.add("f", []byte(text)); err != nil {
		t.Fatal(err)
	}
	f := func(line, col int, within string, offset int, want string) {
		t.Helper()
		ps := option.Problems{{Pos: option.Pos{File: "f", Line: line, Col: col}, Within: within, Offset: offset}}
		src.Place(ps)
		if got := ps[0].Pos.String(); got != want {
			t.Errorf("offset %d of %q is at %s, want %s", offset, within, got, want)
		}
	}
	block := "local a = x\nlocal b = x\n"
	f(2, 11, block, strings.LastIndex(block, "x"), "f:4:17")
	f(2, 11, block, len(block), "f:2:11") // There is nothing to point at.
	f(6, 9, "(é", len("(é"), "f:6:18")
	f(7, 13, "one two three four", len("one two th"), "f:9:9")
	f(6, 9, "it's", 2, "f:6:13")
	// What is not in the value keeps the place of the value, also if it stands
	// behind it.
	f(10, 11, "elsewhere", 3, "f:10:11")
	f(99, 1, "a", 0, "f:99:1")
}
