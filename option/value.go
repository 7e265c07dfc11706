package option

import (
	"fmt"
	"strings"
)

// Pos is a place in a configuration source. Line and Col count from 1 and are
// 0 where unknown; File is empty for the command line.
type Pos struct {
	File string
	Line int
	Col  int
}

// String gives file:line:col with unknown parts left out.
func (p Pos) String() string {
	file := p.File
	if file == "" {
		file = "command line"
	}
	switch {
	case p.Line == 0:
		return file
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", file, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", file, p.Line, p.Col)
}

// Shape tells what a Value holds.
type Shape uint8

// The shapes of a Value. The classic format has only scalars.
const (
	Scalar Shape = iota
	List
	Map
)

// String names the shape in words for messages.
func (s Shape) String() string {
	switch s {
	case List:
		return "a list"
	case Map:
		return "a map"
	}
	return "a single value"
}

// Value is what was written after a key: one text, or in YAML a list or a map.
type Value struct {
	Shape Shape
	Text  string     // Scalar: the text, variables expanded, quotes of YAML removed
	Items []Value    // List
	Props []Property // Map, in the order written
	Pos   Pos
}

// Text makes a scalar value.
func Text(s string) Value { return Value{Text: s} }

// Get returns the value of key in a map, ignoring case.
func (v Value) Get(key string) (Value, bool) {
	for _, p := range v.Props {
		if strings.EqualFold(p.Key, key) {
			return p.Value, true
		}
	}
	return Value{}, false
}

// Property is one key with its value, in the place where it was written.
type Property struct {
	Key   string
	Value Value
	Pos   Pos // of the key
}

// Prop makes a property without a position, for tests and the command line.
func Prop(key, value string) Property { return Property{Key: key, Value: Text(value)} }
