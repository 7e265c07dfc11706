package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// benchLine is a JSON log line of 293 bytes.
const benchLine = `{"time":"2026-03-14T15:09:26.535897932Z","level":"info","msg":"request served from an upstream",` +
	`"user":"alice.liddell@example.com","path":"/api/v1/orders/8123/items?page=2","status":200,"took":0.0312,` +
	`"cached":false,"kubernetes":{"namespace":"shop","pod":"orders-7d9c5b6f4-x2x7k","restarts":3}}`

// appendAny encodes what encoding/json decodes to, with UseNumber.
func appendAny(t testing.TB, b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return AppendNil(b)
	case bool:
		return AppendBool(b, v)
	case string:
		return AppendString(b, v)
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
				return AppendInt(b, i)
			}
			if u, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
				return AppendUint(b, u)
			}
		}
		f, _ := v.Float64()
		return AppendFloat(b, f)
	case []any:
		b = AppendArrayHeader(b, len(v))
		for _, e := range v {
			b = appendAny(t, b, e)
		}
		return b
	}
	t.Fatalf("appendAny(%T)", v)
	return nil
}

func TestJSONValues(t *testing.T) {
	f := func(in string, want []byte) {
		t.Helper()
		out, rest, err := AppendJSON([]byte("x"), []byte(" \t\r\n"+in+" ,"))
		if err != nil || string(out) != "x"+string(want) || string(rest) != " ," {
			t.Errorf("AppendJSON(%s) = % x, %q, %v; want % x", in, out, rest, err, want)
		}
		if _, rest, err := Next(out[1:]); err != nil || len(rest) > 0 {
			t.Errorf("%s became malformed msgpack % x", in, out[1:])
		}
		// Every beginning of an object or array is incomplete.
		if in[0] == '{' || in[0] == '[' || in[0] == '"' {
			for n := 0; n < len(in); n += 1 + len(in)/500 {
				if out, rest, err := AppendJSON(nil, []byte(in)[:n:n]); err != io.ErrUnexpectedEOF || out != nil || len(rest) != n {
					t.Errorf("AppendJSON(%s) = % x, %q, %v; want unexpected EOF", in[:n], out, rest, err)
				}
			}
		}
	}
	str := func(in, want string) { t.Helper(); f(in, AppendString(nil, want)) }
	num := func(in string, want float64) { t.Helper(); f(in, AppendFloat(nil, want)) }

	f(`null`, AppendNil(nil))
	f(`true`, AppendBool(nil, true))
	f(`false`, AppendBool(nil, false))

	f(`0`, AppendInt(nil, 0))
	f(`-0`, AppendInt(nil, 0))
	f(`-7`, AppendInt(nil, -7))
	f(`9007199254740993`, AppendInt(nil, 9007199254740993))
	f(`9223372036854775807`, AppendInt(nil, math.MaxInt64))
	f(`-9223372036854775808`, AppendInt(nil, math.MinInt64))
	f(`9223372036854775808`, AppendUint(nil, 1<<63))
	f(`18446744073709551615`, AppendUint(nil, math.MaxUint64))
	num(`18446744073709551616`, 18446744073709551616)
	num(`-9223372036854775809`, -9223372036854775809)
	num(`-99999999999999999999999`, -99999999999999999999999)
	num(`1e3`, 1000)
	num(`1E+3`, 1000)
	num(`2.50`, 2.5)
	num(`-0.0`, math.Copysign(0, -1))
	num(`0.0312`, 0.0312)
	num(`1.5e-7`, 1.5e-7)
	num(`1e22`, 1e22)
	num(`1e23`, 1e23)
	num(`1e-400`, 0)
	num(`0.30000000000000004`, 0.30000000000000004)
	num(`123456789012345678901234567890.5`, 123456789012345678901234567890.5)
	num(`0.0000000000000000000000000000000000012345678901234567890123`, 1.2345678901234567890123e-36)
	num(`0.00000000000000000000000000000000000`, 0)
	num(`1.7976931348623157e308`, math.MaxFloat64)
	num(`5e-324`, 5e-324)

	str(`""`, "")
	str(`"abc"`, "abc")
	str(`"seven c"`, "seven c")
	str(`"eight ch"`, "eight ch")
	str(`"`+strings.Repeat("a", 31)+`"`, strings.Repeat("a", 31))
	str(`"`+strings.Repeat("a", 32)+`"`, strings.Repeat("a", 32))
	str(`"`+strings.Repeat("a", 255)+`"`, strings.Repeat("a", 255))
	str(`"`+strings.Repeat("a", 256)+`"`, strings.Repeat("a", 256))
	str(`"`+strings.Repeat("a", 65536)+`"`, strings.Repeat("a", 65536))
	str(`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t")
	str(`"\u0041\u00e9\u4e2d\ud83d\uDE00\u0000z"`, "Aé中😀\x00z")
	str(`"中😀"`, "中😀")
	// The header's guess was too small, just right and too large.
	str(`"\n`+strings.Repeat("a", 40)+`"`, "\n"+strings.Repeat("a", 40))
	str(`"\n`+strings.Repeat("a", 300)+`"`, "\n"+strings.Repeat("a", 300))
	str(`"\n`+strings.Repeat("a", 70000)+`"`, "\n"+strings.Repeat("a", 70000))
	str(`"`+strings.Repeat("a", 40)+`\n"`, strings.Repeat("a", 40)+"\n")
	str(`"`+strings.Repeat(`\n`, 5000)+`"`, strings.Repeat("\n", 5000))
	// Lenient, as Fluent Bit is.
	str("\"x\ty\nz\x00\"", "x\ty\nz\x00")
	str("\"\xff\xfe \xe4\xb8\"", "\xff\xfe \xe4\xb8")
	str("\"\xc3\xa9\\n\xff\"", "é\n\xff")
	str(`"\ud800x"`, "\ufffdx")
	str(`"\udc00x"`, "\ufffdx")
	str(`"\ud83d\u0041"`, "\ufffdA")
	str(`"\ud83d\ud83d\ude00"`, "\ufffd😀")
	str(`"\ud83d\n"`, "\ufffd\n")
	str(`"\u12G4x"`, `\u12G4x`)
	str(`"\u"`, `\u`)

	f(`[]`, []byte("\x90"))
	f(`[ ]`, []byte("\x90"))
	f(`{}`, []byte("\x80"))
	f(`{ }`, []byte("\x80"))
	f(`[1,"two",[3],{"k":null}]`, []byte("\x94\x01\xa3two\x91\x03\x81\xa1k\xc0"))
	f(`{"a":1,"a":2, "b" : { "c" : [ ] } }`, []byte("\x83\xa1a\x01\xa1a\x02\xa1b\x81\xa1c\x90"))
	for _, n := range []int{15, 16, 65535, 65536} {
		array := AppendArrayHeader(nil, n)
		object := AppendMapHeader(nil, n)
		for range n {
			array = AppendInt(array, 1)
			object = AppendInt(AppendString(object, "k"), 1)
		}
		check := func(in string, want []byte) {
			t.Helper()
			if out, _, err := AppendJSON(nil, []byte(in)); err != nil || !bytes.Equal(out, want) {
				t.Errorf("AppendJSON of %d elements: % .20x, %v; want % .20x", n, out, err, want)
			}
		}
		check("["+strings.Repeat("1,", n-1)+"1]", array)
		check("{"+strings.Repeat(`"k":1,`, n-1)+`"k":1}`, object)
	}
}

func TestJSONRefuses(t *testing.T) {
	f := func(in string, offset int) {
		t.Helper()
		out, rest, err := AppendJSON(nil, []byte(in))
		var se *SyntaxError
		if !errors.As(err, &se) || se.Offset != offset || se.Msg == "" || out != nil || string(rest) != in {
			t.Errorf("AppendJSON(%s) = % x, %q, %v; want a syntax error at %d", in, out, rest, err, offset)
		}
	}
	f(`not json at all`, 0)
	f(`x`, 0)
	f(`  }`, 2)
	f("\xef\xbb\xbf{}", 0)
	f(`/**/{}`, 0)
	f(`{a:1}`, 1)
	f(`{1:1}`, 1)
	f(`{"a" 1}`, 5)
	f(`{"a":}`, 5)
	f(`{"a":1,}`, 7)
	f(`{,}`, 1)
	f(`{"a":1 "b":2}`, 7)
	f(`{"a":1]`, 6)
	f(`[1,]`, 3)
	f(`[,]`, 1)
	f(`[1 2]`, 3)
	f(`[1}`, 2)
	f(`{"a":01}`, 5)
	f(`{"a":-}`, 6)
	f(`{"a":1.}`, 7)
	f(`{"a":1.e5}`, 7)
	f(`{"a":1e}`, 7)
	f(`{"a":1e+}`, 8)
	f(`{"a":.5}`, 5)
	f(`{"a":+1}`, 5)
	f(`{"a":1e400}`, 5)
	f(`{"a":-1`+strings.Repeat("0", 400)+`}`, 5)
	f(`{"a":NaN}`, 5)
	f(`{"a":nul}`, 5)
	f(`{"a":truex}`, 9)
	f(`{"a":trux}`, 5)
	f(`{"a":"\x41"}`, 6)
	f(`{"a":"\'"}`, 6)

	for _, in := range []string{``, ` `, `-`, `1.`, `1e`, `1e-`, `t`, `fals`, `nul`, `"a\`, `"\u12`, `"\ud800`, `"\ud800\`, `"\ud800\u`, `{"a":tru`, `[1`, `[1,`} {
		if _, _, err := AppendJSON(nil, []byte(in)); err != io.ErrUnexpectedEOF {
			t.Errorf("AppendJSON(%s) = %v, want unexpected EOF", in, err)
		}
	}

	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	if _, _, err := AppendJSON(nil, []byte(deep(MaxJSONDepth))); err != nil {
		t.Errorf("%d levels: %v", MaxJSONDepth, err)
	}
	if _, _, err := AppendJSON(nil, []byte(deep(MaxJSONDepth+1))); err != ErrDepth {
		t.Errorf("%d levels: %v, want %v", MaxJSONDepth+1, err, ErrDepth)
	}
	if _, _, err := AppendJSON(nil, []byte(strings.Repeat(`{"a":`, 1000000))); err != ErrDepth {
		t.Errorf("a million levels: %v, want %v", err, ErrDepth)
	}

	// Trailing text is not looked at.
	if _, rest, err := AppendJSON(nil, []byte(`{"a":1} trailing`)); err != nil || string(rest) != " trailing" {
		t.Errorf("rest = %q, %v", rest, err)
	}
	if got, want := (&SyntaxError{7, "x"}).Error(), "invalid JSON at offset 7: x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLooseJSON(t *testing.T) {
	f := func(in string, want string) {
		t.Helper()
		out, rest, err := AppendLooseJSON(nil, []byte(in))
		if err != nil || string(out) != want || len(rest) > 0 {
			t.Errorf("AppendLooseJSON(%s) = % x, %q, %v; want % x", in, out, rest, err, want)
		}
	}
	float := func(f float64) string { return string(AppendFloat([]byte{0x91}, f)) }
	f(` , ,{"a":1}`, "\x81\xa1a\x01")
	f(`{"a":1,}`, "\x81\xa1a\x01")
	f(`{,"a":1,,"b":2,}`, "\x82\xa1a\x01\xa1b\x02")
	f(`{"a":1 "b":2}`, "\x82\xa1a\x01\xa1b\x02") // Fluent Bit loses b.
	f(`{,}`, "\x80")
	f(`[,1,,2,]`, "\x92\x01\x02")
	f(`[1 2 ["a""b"]]`, "\x93\x01\x02\x92\xa1a\xa1b")
	f(`[nope,truly,f]`, "\x93\xc0\xc3\xc2")
	f(`[007,12abc,-,-x,1+1]`, "\x95\x07\x0c\x00\x00\x01")
	f(`[-18446744073709551615x]`, float(-18446744073709551615))
	f(`[18446744073709551615x]`, "\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff")
	f(`[1.]`, float(1))
	f(`[-.5]`, float(-.5))
	f(`[1.5.5]`, float(1.5))
	f(`[1e5e]`, float(1e5))
	f(`[-.]`, float(0))
	f(`[1.e+x]`, float(1))
	f(`[1e400]`, float(math.Inf(1)))
	f(`[-1e400]`, float(math.Inf(-1)))
	f(`[1`+strings.Repeat("0", 400)+`]`, float(math.Inf(1)))
	f(`[1e-400]`, float(0))
	f(`{"a":[true,-1.25,{"b":null}],"c":"d"}`, "\x82\xa1a\x93\xc3\xcb\xbf\xf4\x00\x00\x00\x00\x00\x00\x81\xa1b\xc0\xa1c\xa1d")

	for _, in := range []string{``, `,`, `1`, `tru`, `-`, `1.`, `[1`, `{"a":1,`} {
		if _, _, err := AppendLooseJSON(nil, []byte(in)); err != io.ErrUnexpectedEOF {
			t.Errorf("AppendLooseJSON(%s) = %v, want unexpected EOF", in, err)
		}
	}
	for _, in := range []string{`x`, `{"a" 1}`, `{"a"}`, `{"a":}`, `{"a":1 2}`, `["a":2]`, `[1}`, `{"a":1]`, `{1:2}`, "[1\x01]", `["\x"]`} {
		var se *SyntaxError
		if _, _, err := AppendLooseJSON(nil, []byte(in)); !errors.As(err, &se) {
			t.Errorf("AppendLooseJSON(%s) = %v, want a syntax error", in, err)
		}
	}
}

func TestSkipJSONSpace(t *testing.T) {
	if got := SkipJSONSpace([]byte(" \t\r\n\v x")); string(got) != "\v x" {
		t.Errorf("got %q", got)
	}
	if got := SkipJSONSpace([]byte("  ")); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestAppendJSONDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 4096)
	in := []byte(benchLine[:len(benchLine)-1] + `,"esc":"a\n\u00e9` + strings.Repeat("b", 40) + `","f":1e-300,"big":123456789012345678901}`)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := AppendJSON(buf, in); err != nil {
			t.Fatal(err)
		}
		if _, _, err := AppendLooseJSON(buf, in); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	line := []byte(benchLine)
	buf := make([]byte, 0, 4096)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := AppendJSON(buf, line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSONEscaped(b *testing.B) {
	line := []byte(`{"log":"Exception in thread \"main\" java.lang.IllegalStateException: caf\u00e9\n\tat com.example.Shop.order(Shop.java:42)\n\tat com.example.Shop.main(Shop.java:7)\n","stream":"stderr"}`)
	buf := make([]byte, 0, 4096)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, _, err := AppendJSON(buf, line); err != nil {
			b.Fatal(err)
		}
	}
}

// plainJSON reports whether text holds nothing that AppendJSON treats unlike
// encoding/json: control characters (in strings), bad UTF-8, bad \u escapes,
// numbers out of range.
func plainJSON(text []byte) bool {
	if !utf8.Valid(text) {
		return false
	}
	for i, c := range text {
		if c < ' ' {
			return false
		}
		if c == '\\' && i+1 < len(text) && text[i+1] == 'u' {
			if _, fault := hex4(text, i+2); fault == faultEscape {
				return false
			}
		}
	}
	return true
}

func FuzzAppendJSON(f *testing.F) {
	f.Add([]byte(benchLine))
	for _, s := range []string{`{"a":[1,-2.5e3,true,false,null,"\u00e9\ud83d\ude00\n"]}`, `"\ud800x"`, ` [] `, `18446744073709551616`, `-0`, `{"a":1,"a":2}`, `[1 2,,]`, `01`, `{"a":`, `"\u12`} {
		f.Add([]byte(s))
	}
	f.Add(bytes.Repeat([]byte(`[{"a":`), 150))
	f.Fuzz(func(t *testing.T, text []byte) {
		prefix := []byte("pre")
		out, rest, err := AppendJSON(prefix, text[:len(text):len(text)])
		loose, looseRest, looseErr := AppendLooseJSON(nil, text)
		if looseErr == nil {
			if _, r, err := Next(loose); err != nil || len(r) > 0 {
				t.Fatalf("loose %q became malformed % x: %v", text, loose, err)
			}
		}
		if err != nil {
			if string(out) != "pre" || len(rest) != len(text) {
				t.Fatalf("%q: error %v with % x, %q", text, err, out, rest)
			}
		} else {
			v := out[3:]
			if _, r, err := Next(v); err != nil || len(r) > 0 {
				t.Fatalf("%q became malformed % x: %v", text, v, err)
			}
			// What is taken at all is taken equally.
			if looseErr == nil && len(looseRest) == len(rest) && !bytes.Equal(v, loose) {
				t.Fatalf("%q is % x but loosely % x", text, v, loose)
			}
		}

		// encoding/json is the judge of plain texts.
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		var want any
		jsonErr := dec.Decode(&want)
		switch {
		case err == ErrDepth:
		case err == nil && jsonErr != nil:
			if plainJSON(text[:len(text)-len(rest)]) && !strings.Contains(jsonErr.Error(), "exceeded max depth") {
				// A number may end where encoding/json wants a delimiter.
				if json.Valid(text[:len(text)-len(rest)]) {
					return
				}
				t.Fatalf("%q is accepted, encoding/json says %v", text, jsonErr)
			}
		case err != nil && jsonErr == nil:
			var se *SyntaxError
			if !errors.As(err, &se) || se.Msg != faultMsgs[faultRange] && se.Msg != faultMsgs[faultLeadingZero] {
				t.Fatalf("%q is refused with %v, encoding/json gives %v", text, err, want)
			}
		case err == nil:
			if !plainJSON(text) || hasObject(want) {
				return // Objects lose their order there: see FuzzJSONRoundTrip.
			}
			if b := appendAny(t, nil, want); !bytes.Equal(b, out[3:]) {
				t.Fatalf("%q is % x, encoding/json gives % x", text, out[3:], b)
			}
		case err == io.ErrUnexpectedEOF && plainJSON(text):
			if jsonErr != io.ErrUnexpectedEOF && jsonErr != io.EOF {
				t.Fatalf("%q is incomplete, encoding/json says %v", text, jsonErr)
			}
		}
	})
}

func hasObject(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return true
	case []any:
		for _, e := range v {
			if hasObject(e) {
				return true
			}
		}
	}
	return false
}
