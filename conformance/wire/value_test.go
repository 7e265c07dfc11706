package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// Values are compared in one plain form: nil, bool, string, json.Number for
// whole numbers of any size, float64, []any, map[string]any, and []byte for
// what msgpack calls binary.

// num is a whole number.
func num[T ~int | ~int64 | ~uint64](n T) json.Number {
	return json.Number(fmt.Sprint(n))
}

// decodeJSON reads one value and nothing after it.
func decodeJSON(text string) (any, error) {
	all, err := decodeJSONSeq(text)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%d JSON values instead of one", len(all))
	}
	return all[0], nil
}

// decodeJSONSeq reads values one after the other, white space between or not.
func decodeJSONSeq(text string) ([]any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	all := []any{}
	for {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, plainNumbers(v))
	}
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = plainNumbers(x)
		}
	case []any:
		for i, x := range v {
			v[i] = plainNumbers(x)
		}
	case json.Number:
		return plainNumber(v.String())
	}
	return v
}

// plainNumber keeps a number with a point or an exponent a float, as whole
// numbers and floats are written differently.
func plainNumber(s string) any {
	if strings.ContainsAny(s, ".eE") {
		f, _ := strconv.ParseFloat(s, 64) // out of range is infinite
		return f
	}
	if s == "-0" {
		s = "0"
	}
	return json.Number(s)
}

// jsonOrText reads text that is a JSON object or array as such and leaves any
// other as it is.
func jsonOrText(text string) map[string]any {
	if v, err := decodeJSON(text); err == nil {
		switch v.(type) {
		case map[string]any, []any:
			return map[string]any{"json": v}
		}
	}
	return map[string]any{"text": text}
}

// decodeText makes bytes a string with U+FFFD for each ill-formed sequence;
// one cut short counts as one (Unicode 15, section 3.9, "maximal subparts").
func decodeText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			for n < min(3, len(b)) && !utf8.FullRune(b[:n+1]) {
				n++
			}
		}
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String()
}

// The expectations were recorded with Python's json module: digests in them
// are of its text, and unordered lists are sorted by it. So encode gives the
// same: sorted keys, ", " and ": " between, escapes for all but ASCII.
func encode(v any) string {
	var b strings.Builder
	appendValue(&b, v)
	return b.String()
}

func appendValue(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case json.Number:
		b.WriteString(v.String())
	case float64:
		b.WriteString(floatText(v))
	case string:
		appendString(b, v)
	case []byte:
		appendValue(b, shorten(v))
	case []any:
		b.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			appendValue(b, x)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, k := range sortedKeys(v) {
			if i > 0 {
				b.WriteString(", ")
			}
			appendString(b, k)
			b.WriteString(": ")
			appendValue(b, v[k])
		}
		b.WriteByte('}')
	default:
		panic(fmt.Sprintf("BUG: a value of type %T", v))
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// floatText is the shortest text that reads back as f, in Python's spelling.
func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, 64), "+") + "inity"
	}
	exp := strconv.FormatFloat(f, 'e', -1, 64)
	if e, _ := strconv.Atoi(exp[strings.IndexByte(exp, 'e')+1:]); e < -4 || e >= 16 {
		return exp
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func appendString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case strings.ContainsRune("\b\f\n\r\t", r):
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		case r >= 0x10000:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
}

// respell writes JSON in the spelling of encode but leaves the order of keys.
func respell(raw []byte) (string, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var b strings.Builder
	err := respellValue(&b, d)
	return b.String(), err
}

func respellValue(b *strings.Builder, d *json.Decoder) error {
	tok, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := tok.(json.Delim)
	if !ok {
		if n, ok := tok.(json.Number); ok {
			tok = plainNumber(n.String())
		}
		appendValue(b, tok)
		return nil
	}
	b.WriteString(open.String())
	for i := 0; d.More(); i++ {
		if i > 0 {
			b.WriteString(", ")
		}
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			appendString(b, key.(string))
			b.WriteString(": ")
		}
		if err := respellValue(b, d); err != nil {
			return err
		}
	}
	end, err := d.Token()
	if err != nil {
		return err
	}
	b.WriteString(end.(json.Delim).String())
	return nil
}

// shorten gives values the form they have in expected.json: binary and very
// long strings are written as objects that describe them.
func shorten(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = shorten(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = shorten(x)
		}
		return out
	case []byte:
		if utf8.Valid(v) {
			return map[string]any{"$bin": string(v)}
		}
		return map[string]any{"$hex": hex.EncodeToString(v)}
	case string:
		if len(v) <= 2000 { // its length in characters is at most that
			return v
		}
		if r := []rune(v); len(r) > 2000 {
			return map[string]any{"$long": num(len(r)), "start": string(r[:40]), "end": string(r[len(r)-40:]), "sha256": digest(v)}
		}
	}
	return v
}

// summary leaves of a long list its length, both ends and a digest.
func summary(events []any) any {
	if len(events) <= 60 {
		return shorten(events)
	}
	all := shorten(events).([]any)
	return map[string]any{"count": num(len(all)), "first": all[:2:2], "last": all[len(all)-2:], "sha256": digest(encode(all))}
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestSpelling(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got, err := respell([]byte(in)); err != nil || got != want {
			t.Errorf("%s became %s (%v), want %s", in, got, err, want)
		}
	}
	f(`{"b":[1,-0,2.50,1e300,1e-7,1e16,123456789.125],"a":{}}`, `{"b": [1, 0, 2.5, 1e+300, 1e-07, 1e+16, 123456789.125], "a": {}}`)
	f("\"é😀\x7f\\u0001\\b/\"", `"\u00e9\ud83d\ude00\u007f\u0001\b/"`)
	f(`18446744073709551616`, `18446744073709551616`)
	for in, want := range map[string]string{
		"ab": "ab", "a\xffb": "a\uFFFDb", "\xe2\x82": "\uFFFD", "\xe2\x82x": "\uFFFDx",
		"\xf0\x9f\x98": "\uFFFD", "\xc0\x80": "\uFFFD\uFFFD", "\xe2\xe2\x82\xac": "\uFFFD€",
	} {
		if got := decodeText([]byte(in)); got != want {
			t.Errorf("decodeText(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestShortening(t *testing.T) {
	long := strings.Repeat("ü", 2001)
	got := shorten(map[string]any{"b": []byte("x"), "h": []byte{0xff}, "l": long, "ok": long[:2000]})
	for key, want := range map[string]string{"b": `{"$bin": "x"}`, "h": `{"$hex": "ff"}`} {
		if s := encode(got.(map[string]any)[key]); s != want {
			t.Errorf("%s: %s, want %s", key, s, want)
		}
	}
	if s := encode(got.(map[string]any)["l"]); !strings.HasPrefix(s, `{"$long": 2001, "end": `) {
		t.Errorf("a long string: %s", s)
	}
	events := make([]any, 61)
	if s := encode(summary(events)); !strings.HasPrefix(s, `{"count": 61, "first": [null, null], "last": [null, null], "sha256": `) {
		t.Errorf("a long list: %s", s)
	}
}
