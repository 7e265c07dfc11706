package parser

import (
	"fmt"
	"math"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/cnum"
	"github.com/kagarilog/kagari/option"
)

// valueType is a type of the option Types.
type valueType uint8

const (
	typeText valueType = iota // string, and fields that Types does not name
	typeInteger
	typeHex
	typeFloat
	typeBool
)

var typeNames = map[string]valueType{
	"string": typeText, "integer": typeInteger, "hex": typeHex, "float": typeFloat, "bool": typeBool,
}

// typeTable is the option Types: the types of fields by name. It is nil if the
// option is not given.
type typeTable map[string]valueType

// newTypes reads the option Types. As in Fluent Bit what it does not know makes
// a string, and of several types of a field the first counts.
func newTypes(text string) (typeTable, []problem) {
	if text == "" {
		return nil, nil
	}
	var ps []problem
	warn := func(format string, args ...any) {
		ps = append(ps, problem{key: "types", severity: option.Warning, message: "option \"types\": " + fmt.Sprintf(format, args...)})
	}
	types := typeTable{}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' }) {
		key, name, ok := strings.Cut(word, ":")
		if !ok {
			warn("%q is not of the form key:type and is ignored", word)
			continue
		}
		typ, known := typeNames[strings.ToLower(name)]
		if !known {
			warn("%q is not one of string, integer, float, bool, hex; the field %q stays a string", name, key)
		}
		if _, twice := types[key]; twice {
			warn("the field %q is given more than once; the first one counts", key)
			continue
		}
		types[key] = typ
	}
	return types, ps
}

func (t typeTable) of(name string) valueType { return t[name] }

// appendTyped appends text as a value of the given type. Text that is no number
// counts as 0, and one with something behind the number as the number, as with
// atoll(3), strtoull(3) and atof(3). Text that is no truth value stays text.
func (p *Parser) appendTyped(dst []byte, typ valueType, text []byte) []byte {
	switch typ {
	case typeInteger:
		i, _, _ := cnum.Int(text)
		return event.AppendInt(dst, i)
	case typeHex:
		return event.AppendUint(dst, leadingHex(text))
	case typeFloat:
		f, _ := cnum.Float(text)
		return event.AppendFloat(dst, f)
	case typeBool:
		switch {
		case cnum.HasPrefixFold(text, "true"):
			return event.AppendBool(dst, true)
		case cnum.HasPrefixFold(text, "false"):
			return event.AppendBool(dst, false)
		}
		p.badType(text)
	}
	return appendText(dst, text)
}

// leadingHex reads as strtoull(3) does with base 16: a minus sign wraps around,
// and what does not fit is the largest number.
func leadingHex(b []byte) uint64 {
	b, negative := cnum.Sign(b)
	if len(b) > 2 && b[0] == '0' && b[1]|0x20 == 'x' && hexDigit(b[2]) >= 0 {
		b = b[2:]
	}
	var n uint64
	for _, c := range b {
		d := hexDigit(c)
		if d < 0 {
			break
		}
		if n > math.MaxUint64>>4 {
			return math.MaxUint64
		}
		n = n<<4 | uint64(d)
	}
	if negative {
		return -n
	}
	return n
}

// hexDigit returns the value of a hexadecimal digit, or -1.
func hexDigit(c byte) int {
	switch {
	case c-'0' <= 9:
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
