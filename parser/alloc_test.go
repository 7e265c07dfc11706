//go:build !race

package parser_test

import (
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser"
)

// The race detector makes pools forget, so allocations are counted without it.

func TestFieldsAllocateNothing(t *testing.T) {
	for line, p := range map[string]*parser.Parser{
		`level=info msg="a \"b\" c" n=12 ok`: mustNew(t, "Name", "p", "Format", "logfmt"),
		`level=info msg="a b c" n=12`:        mustNew(t, "Name", "p", "Format", "logfmt", "Types", "n:integer"),
		"a:1\tb:2.5\tc:x\ttime:1700000000":   mustNew(t, "Name", "p", "Format", "ltsv", "Types", "a:hex b:float", "Time_Format", "%s"),
		`{"log":"{\"a\":1}","x":"a\\nb","m":"{\\\"z\\\":1}"}`: mustNew(t, "Name", "p", "Format", "json", "Decode_Field", "json log",
			"Decode_Field_As", "escaped_utf8 x", "Decode_Field_As", "escaped m do_next", "Decode_Field_As", "json m"),
	} {
		b := event.NewBatch("t")
		b.Grow(1 << 20)
		e := b.Add(0)
		text := []byte(line)
		if n := testing.AllocsPerRun(100, func() {
			if !p.Parse(text, e) {
				t.Fatal("the line does not fit")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}
