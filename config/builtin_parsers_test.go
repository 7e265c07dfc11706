package config

import (
	"slices"
	"testing"

	"github.com/kagarilog/kagari/parser"
)

// A built-in parser is found by the check if and only if there is one.
func TestBuiltinParsers(t *testing.T) {
	if want := parser.BuiltinNames(); !slices.Equal(builtinParsers, want) {
		t.Errorf("got  %q\nwant %q", builtinParsers, want)
	}
}
