package stream

import (
	"bytes"
	"math"
	"time"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
)

// function is a function of the language. max is negative for any number of
// arguments. A function of a missing value is missing, and of null it is null,
// unless it says otherwise.
type function struct {
	usage    string
	min, max int
	compile  func(c *compiler, n *callNode, args []expr) expr
}

// functions are the functions that work on values, by name. Those of time and
// of the record are in call.
var functions = map[string]function{
	"lower":          {"lower(text)", 1, 1, mapText(func(dst, s []byte) []byte { return appendMapped(dst, s, bytes.ToLower, 'A', 0x20) })},
	"upper":          {"upper(text)", 1, 1, mapText(func(dst, s []byte) []byte { return appendMapped(dst, s, bytes.ToUpper, 'a', -0x20) })},
	"length":         {"length(text), also of arrays and maps", 1, 1, length},
	"substr":         {"substr(text, from[, count]), counted from 1", 2, 3, substr},
	"concat":         {"concat(value, …)", 1, -1, concatAll},
	"coalesce":       {"coalesce(value, …)", 1, -1, coalesce},
	"nullif":         {"nullif(value, value)", 2, 2, nullIf},
	"if":             {"if(condition, value, value)", 3, 3, choose},
	"replace":        {"replace(text, from, to)", 3, 3, replace},
	"trim":           {"trim(text[, characters])", 1, 2, trim(bytes.Trim)},
	"ltrim":          {"ltrim(text[, characters])", 1, 2, trim(bytes.TrimLeft)},
	"rtrim":          {"rtrim(text[, characters])", 1, 2, trim(bytes.TrimRight)},
	"starts_with":    {"starts_with(text, text)", 2, 2, testText(bytes.HasPrefix)},
	"ends_with":      {"ends_with(text, text)", 2, 2, testText(bytes.HasSuffix)},
	"position":       {"position(text, part), 0 if it is not in there", 2, 2, position},
	"split_part":     {"split_part(text, separator, number), counted from 1", 3, 3, splitPart},
	"regexp_extract": {"regexp_extract(text, 'pattern'[, group])", 2, 3, regexpExtract},
	"json_extract":   {"json_extract(value, '$.a.b[0]')", 2, 2, jsonExtract},
	"typeof":         {"typeof(value)", 1, 1, typeOf},
	"abs":            {"abs(number)", 1, 1, mapNumber(math.Abs)},
	"floor":          {"floor(number)", 1, 1, mapNumber(math.Floor)},
	"ceil":           {"ceil(number)", 1, 1, mapNumber(math.Ceil)},
	"round":          {"round(number[, digits])", 1, 2, round},
	"int":            {"int(value)", 1, 1, toInt},
	"float":          {"float(value)", 1, 1, toFloat},
	"text":           {"text(value)", 1, 1, mapText(func(dst, s []byte) []byte { return append(dst, s...) })},
}

// call compiles a function.
func (c *compiler) call(n *callNode) expr {
	args := make([]expr, len(n.args))
	for i := range n.args {
		args[i] = c.expr(n.args[i])
	}
	switch n.name {
	case "@record.contains":
		// In Fluent Bit it is no value at all if it is not true, so that even a
		// comparison with false fails. Arrays count as missing there, but not here.
		absent := val{}
		if c.opts.Exact {
			absent = boolVal(false)
		}
		return func(r *row) val {
			if args[0](r).k == missing {
				return absent
			}
			return boolVal(true)
		}
	case "@record.time", "record_time":
		return func(r *row) val { return val{k: floating, f: seconds(r.time)} }
	case "record_tag":
		return func(r *row) val { return val{k: text, s: []byte(r.tag)} }
	case "now":
		return func(r *row) val {
			from := len(r.buf)
			r.buf = r.now.AppendFormat(r.buf, time.DateTime)
			return val{k: text, s: r.buf[from:]}
		}
	case "unix_timestamp":
		return func(r *row) val { return val{k: integer, n: r.now.Unix()} }
	}
	return functions[n.name].compile(c, n, args)
}

// seconds is a time as Fluent Bit's float.
func seconds(ns int64) float64 { return float64(ns/1e9) + float64(ns%1e9)/1e9 }

// textOf returns v as text in the row's buffer, or v itself if it is none.
func textOf(r *row, v val) val {
	if v.k == text || v.k == missing || v.k == null {
		return v
	}
	from := len(r.buf)
	r.buf = v.appendText(r.buf)
	return val{k: text, s: r.buf[from:]}
}

// mapText is a function from text to text.
func mapText(f func(dst, s []byte) []byte) func(*compiler, *callNode, []expr) expr {
	return func(_ *compiler, _ *callNode, args []expr) expr {
		return func(r *row) val {
			v := textOf(r, args[0](r))
			if v.k != text {
				return v
			}
			from := len(r.buf)
			r.buf = f(r.buf, v.s)
			return val{k: text, s: r.buf[from:]}
		}
	}
}

// appendMapped appends s with its ASCII letters from first on moved by shift; a
// text with others goes through slow.
func appendMapped(dst, s []byte, slow func([]byte) []byte, first byte, shift int) []byte {
	for i, c := range s {
		if c >= utf8.RuneSelf {
			return append(dst[:len(dst)-i], slow(s)...)
		}
		if c-first < 26 {
			c += byte(shift)
		}
		dst = append(dst, c)
	}
	return dst
}

func length(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		v := args[0](r)
		switch v.k {
		case missing, null:
			return v
		case mapping, other:
			if b, ok := event.Value(v.s).Str(); ok {
				return val{k: integer, n: int64(len(b))}
			}
			return val{k: integer, n: int64(event.Value(v.s).Len())}
		}
		return val{k: integer, n: int64(utf8.RuneCount(textOf(r, v).s))}
	}
}

func substr(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		v := textOf(r, args[0](r))
		if v.k != text {
			return v
		}
		from, count := toInteger(args[1](r), 1), int64(math.MaxInt64)
		if len(args) > 2 {
			count = toInteger(args[2](r), 0)
		}
		if from < 0 { // Counted from the end.
			from = max(int64(utf8.RuneCount(v.s))+from, 0) + 1
		}
		s := v.s
		for ; from > 1 && len(s) > 0; from-- {
			_, size := utf8.DecodeRune(s)
			s = s[size:]
		}
		end := 0
		for ; count > 0 && end < len(s); count-- {
			_, size := utf8.DecodeRune(s[end:])
			end += size
		}
		return val{k: text, s: s[:end]}
	}
}

// toInteger returns a number as an integer, or a default.
func toInteger(v val, other int64) int64 {
	v = operandOf(v)
	switch {
	case v.k == integer:
		return v.n
	case v.k == floating && math.Abs(v.f) < 1<<62:
		return int64(v.f)
	}
	return other
}

func concatAll(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		all := val{k: text}
		for _, a := range args {
			v := a(r)
			// The parts may have used the buffer for themselves.
			from := len(r.buf)
			r.buf = v.appendText(append(r.buf, all.s...))
			all.s = r.buf[from:]
		}
		return all
	}
}

func coalesce(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		var v val
		for _, a := range args {
			if v = a(r); v.k != missing && v.k != null {
				return v
			}
		}
		return v
	}
}

func nullIf(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		v := args[0](r)
		if equal(v, args[1](r)) {
			return val{k: null}
		}
		return v
	}
}

func choose(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		if args[0](r).truthy() {
			return args[1](r)
		}
		return args[2](r)
	}
}

// maxReplaced bounds what replace makes, in bytes.
const maxReplaced = 1 << 20

func replace(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		v, from, to := textOf(r, args[0](r)), textOf(r, args[1](r)), textOf(r, args[2](r))
		if v.k != text || len(from.s) == 0 {
			return v
		}
		start := len(r.buf)
		for rest := v.s; ; {
			i := bytes.Index(rest, from.s)
			if i < 0 || len(r.buf)-start > maxReplaced {
				r.buf = append(r.buf, rest...)
				return val{k: text, s: r.buf[start:]}
			}
			r.buf = append(append(r.buf, rest[:i]...), to.s...)
			rest = rest[i+len(from.s):]
		}
	}
}

// trim cuts blanks, or any of the characters given.
func trim(f func([]byte, string) []byte) func(*compiler, *callNode, []expr) expr {
	return func(c *compiler, n *callNode, args []expr) expr {
		cut := " \t\r\n"
		if len(n.args) > 1 {
			cut = c.text(n.args[1], "what is trimmed")
		}
		return func(r *row) val {
			v := textOf(r, args[0](r))
			if v.k == text {
				v.s = f(v.s, cut)
			}
			return v
		}
	}
}

// text returns the text that an argument must be.
func (c *compiler) text(n node, what string) string {
	s, err := literalText(n, what)
	if err != nil {
		c.p.fail(err.Offset, "", "%s", err.Msg)
	}
	return s
}

func testText(f func(s, part []byte) bool) func(*compiler, *callNode, []expr) expr {
	return func(_ *compiler, _ *callNode, args []expr) expr {
		return func(r *row) val {
			v, part := textOf(r, args[0](r)), textOf(r, args[1](r))
			return boolVal(v.k == text && part.k == text && f(v.s, part.s))
		}
	}
}

func position(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		v, part := textOf(r, args[0](r)), textOf(r, args[1](r))
		if v.k != text {
			return v
		}
		i := bytes.Index(v.s, part.s)
		if i < 0 {
			return val{k: integer}
		}
		return val{k: integer, n: int64(utf8.RuneCount(v.s[:i])) + 1}
	}
}

func splitPart(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		v, sep, n := textOf(r, args[0](r)), textOf(r, args[1](r)), toInteger(args[2](r), 1)
		if v.k != text || len(sep.s) == 0 {
			return v
		}
		for rest := v.s; ; n-- {
			part, more, found := bytes.Cut(rest, sep.s)
			if n <= 1 {
				return val{k: text, s: part}
			}
			if !found {
				return val{k: text}
			}
			rest = more
		}
	}
}

func typeOf(_ *compiler, _ *callNode, args []expr) expr {
	names := map[valKind][]byte{missing: []byte("missing"), null: []byte("null"), boolean: []byte("boolean"), integer: []byte("integer"),
		floating: []byte("float"), text: []byte("text"), mapping: []byte("map"), other: []byte("array")}
	return func(r *row) val {
		v := args[0](r)
		s := names[v.k]
		if k := event.Value(v.s).Kind(); v.k == other && k != event.KindArray {
			s = []byte(k.String())
		}
		return val{k: text, s: s}
	}
}

func mapNumber(f func(float64) float64) func(*compiler, *callNode, []expr) expr {
	return func(_ *compiler, _ *callNode, args []expr) expr {
		return func(r *row) val {
			v := operandOf(args[0](r))
			switch v.k {
			case missing:
				return v
			case integer:
				if math.Abs(float64(v.n)) < 1<<53 {
					v.n = int64(f(float64(v.n)))
				}
				return v
			case floating:
				return val{k: floating, f: f(v.f)}
			}
			return val{k: null}
		}
	}
}

func round(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		v := operandOf(args[0](r))
		if v.k == missing || v.k == integer {
			return v
		}
		if v.k != floating {
			return val{k: null}
		}
		scale := 1.0
		if len(args) > 1 {
			scale = math.Pow10(int(min(max(toInteger(args[1](r), 0), -15), 15)))
		}
		f := math.Round(v.f*scale) / scale
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return v
		}
		return val{k: floating, f: f}
	}
}

func toInt(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		v := operandOf(args[0](r))
		switch v.k {
		case missing, integer:
			return v
		case boolean:
			return val{k: integer, n: v.n}
		case floating:
			if math.Abs(v.f) < 1<<63 {
				return val{k: integer, n: int64(v.f)}
			}
		}
		return val{k: null}
	}
}

func toFloat(_ *compiler, _ *callNode, args []expr) expr {
	return func(r *row) val {
		v := operandOf(args[0](r))
		switch v.k {
		case missing, floating:
			return v
		case integer, boolean:
			return val{k: floating, f: float64(v.n)}
		}
		return val{k: null}
	}
}
