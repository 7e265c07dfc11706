package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestJSONText(t *testing.T) {
	opts := JSONOptions{EscapeUnicode: true}
	f := func(v []byte, want string) {
		t.Helper()
		got := AppendValueJSON([]byte("x"), v, opts)
		if string(got) != "x"+want {
			t.Errorf("% x is %s, want %s", v, got[1:], want)
		}
		if !json.Valid(got[1:]) {
			t.Errorf("% x became invalid JSON %s", v, got[1:])
		}
	}
	num := func(x float64, want string) { t.Helper(); f(AppendFloat(nil, x), want) }
	str := func(s, want string) {
		t.Helper()
		f(AppendString(nil, s), want)
		f(AppendBinary(nil, []byte(s)), want)
		if got := AppendJSONString(nil, s, opts); string(got) != want {
			t.Errorf("AppendJSONString(%q) = %s, want %s", s, got, want)
		}
	}

	f(AppendNil(nil), "null")
	f(AppendBool(nil, true), "true")
	f(AppendBool(nil, false), "false")
	for _, i := range []int64{0, 9, 10, 127, 128, 65536, math.MaxInt64, -1, -32, -33, math.MinInt64} {
		f(AppendInt(nil, i), strconv.FormatInt(i, 10))
	}
	f([]byte("\xd1\x00\x07"), "7")
	f(AppendUint(nil, math.MaxUint64), "18446744073709551615")

	num(0, "0.0")
	num(math.Copysign(0, -1), "-0.0")
	num(1000, "1000.0")
	num(-2, "-2.0")
	num(1e18, "1000000000000000000.0")
	num(-1<<63, "-9223372036854775808.0")
	num(1<<63, "9.223372036854776e+18")
	num(1e19, "1e+19")
	num(12345678901234567890123, "1.234567890123457e+22")
	num(1.844674407370955e+19, "1.844674407370955e+19")
	num(2.5, "2.5")
	num(-0.25, "-0.25")
	num(0.1, "0.1")
	num(0.30000000000000004, "0.3")
	num(9.3, "9.300000000000001") // 16 digits, not the fewest that suffice.
	num(1.05, "1.05")
	num(0.01, "0.01")
	num(0.009999999999999998, "0.009999999999999998")
	num(31533.000000000004, "31533") // As printf has it: not whole, but whole in 16 digits.
	num(1.1000000000000003, "1.1")
	num(0.0001, "0.0001")
	num(0.0312, "0.0312")
	num(1e-5, "1e-05")
	num(1.5e-7, "1.5e-07")
	num(1700000000.250001, "1700000000.250001")
	num(math.MaxFloat64, "1.797693134862316e+308")
	num(5e-324, "4.940656458412465e-324")
	f([]byte("\xca\x3d\xcc\xcc\xcd"), "0.1000000014901161")
	num(math.NaN(), "null")
	num(math.Inf(1), "null")
	num(math.Inf(-1), "null")

	str("", `""`)
	str("plain text of more than eight bytes", `"plain text of more than eight bytes"`)
	str("\"\\/\b\f\n\r\t\x00\x01\x1f\x7f", `"\"\\/\b\f\n\r\t\u0000\u0001\u001f\u007f"`)
	str("0123456789\n0123456789\x7f0123456789", `"0123456789\n0123456789\u007f0123456789"`)
	str("é中😀", `"\u00e9\u4e2d\ud83d\ude00"`)
	str("\uffff\U00010000\U0010ffff", `"\uffff\ud800\udc00\udbff\udfff"`)
	// What is not UTF-8.
	str("bad \xff\xfe end", "\"bad \ue0ff end\"") // 0xfe promises six bytes.
	str("lone \x80 x", "\"lone \ue080 x\"")
	str("cut \xe4\xb8", "\"cut \ue0b8\"")
	str("latin \xe9t\xe9 x", "\"latin \ue0e9t\ue0e9 x\"")
	str("abc\xe4", `"abc"`)
	str("\xed\xa0\x80", "\"\ue0ed\ue0a0\ue080\"")
	str("\xf4\x90\x80\x80", "\"\ue0f4\ue090\ue080\ue080\"")
	str("\xc0\xaf.", `"\u002f."`)
	str("\xc0\xa2", `"\u0022"`)
	str("\xe4\xb8.x", "\"\ue0e4\ue0b8.x\"")
	str("\xe4\xb8\xe4\xb8\xad", "\"\ue0e4\ue0b8\\u4e2d\"")

	opts.EscapeUnicode = false
	str("\"\\/\b\f\n\r\t\x00\x01\x1f\x7f", `"\"\\/\b\f\n\r\t\u0000\u0001\u001f\u007f"`)
	str("é中😀 and more", `"é中😀 and more"`)
	str("\xff\xfe \xe4\xb8 \xc0\xaf \xed\xa0\x80", "\"\ufffd\ufffd \ufffd\ufffd \ufffd\ufffd \ufffd\ufffd\ufffd\"")

	f([]byte("\x90"), `[]`)
	f([]byte("\x80"), `{}`)
	f([]byte("\x94\x01\xa3two\x91\x03\x81\xa1k\xc0"), `[1,"two",[3],{"k":null}]`)
	f([]byte("\xdc\x00\x02\xdf\x00\x00\x00\x01\xd9\x01k\xda\x00\x01v\xdd\x00\x00\x00\x00"), `[{"k":"v"},[]]`)
	f([]byte("\xd6\x05\x0a\xff\x00a"), `"\\x0a\\xff\\x00\\x61"`)
	f([]byte("\x86\x01\x02\xc0\x03\xc3\x04\x91\xa1\"\x05\x80\x06\xc4\x01b\x07"), `{"1":2,"null":3,"true":4,"[\"\\\"\"]":5,"{}":6,"b":7}`)
	f([]byte("\x81\x81\x90\x01\x02"), `{"{\"?\":1}":2}`)
}

func TestJSONTextOfIncompleteValues(t *testing.T) {
	f := func(v, want string) {
		t.Helper()
		if got := string(AppendValueJSON(nil, Value(v), JSONOptions{})); got != want {
			t.Errorf("% x is %s, want %s", v, got, want)
		}
	}
	f("", `null`)
	f("\xc1", `null`)
	f("\xa5ab", `null`)
	f("\xdb\xff\xff\xff\xffab", `null`)
	f("\xdd\xff\xff\xff\xff\x01", `[1,null]`)
	f("\xdf\xff\xff\xff\xff\xa1a\x01", `{"a":1,"null":null}`)
	f("\x82\xa1a", `{"a":null}`)
	f("\x82\xa1a\xc1", `{"a":null}`)
	f("\xde\x00", `null`)

	deep := strings.Repeat("\x91", 1000) + "\x01"
	f(deep, strings.Repeat("[", MaxDepth)+"null"+strings.Repeat("]", MaxDepth))
}

// object returns a map of n entries that key names, with the values 0 to n-1.
func object(n int, key func(i int) string) []byte {
	b := AppendMapHeader(nil, n)
	for i := range n {
		b = AppendInt(AppendString(b, key(i)), int64(i))
	}
	return b
}

func TestJSONTextKeepsTheLastOfEachKey(t *testing.T) {
	f := func(v []byte, want string) {
		t.Helper()
		if got := string(AppendValueJSON(nil, v, JSONOptions{})); got != want {
			t.Errorf("% .40x is %s, want %s", v, got, want)
		}
	}
	keys := func(keys string) []byte {
		return object(len(keys), func(i int) string { return keys[i : i+1] })
	}
	f(keys("aa"), `{"a":1}`)
	f(keys("aba"), `{"b":1,"a":2}`)
	f(keys("abcabcabd"), `{"c":5,"a":6,"b":7,"d":8}`)
	f(keys("aaaaaaaa"), `{"a":7}`)
	f([]byte("\x83\xa1a\x01\xd9\x01a\x02\xc4\x01a\x03"), `{"a":2,"a":3}`) // Only strings are compared.
	f([]byte("\x82\xa1a\x82\xa1b\x01\xa1b\x02\xa1a\x82\xa1b\x03\xa1b\x04"), `{"a":{"b":4}}`)
	f([]byte("\x82\xa1a\x81\xa1b\x01\xa1b\x02"), `{"a":{"b":1},"b":2}`)

	for n := range 200 {
		want := make([]string, 0, n)
		for i := range n {
			want = append(want, fmt.Sprintf(`"k%d":%d`, i, i))
		}
		f(object(n, func(i int) string { return fmt.Sprint("k", i) }), "{"+strings.Join(want, ",")+"}")
		if n > 1 {
			// The first half comes twice.
			dup := object(n+n/2, func(i int) string { return fmt.Sprint("k", i%n) })
			want = want[n/2:]
			for i := range n / 2 {
				want = append(want, fmt.Sprintf(`"k%d":%d`, i, n+i))
			}
			f(dup, "{"+strings.Join(want, ",")+"}")
		}
	}
	f(object(100000, func(int) string { return "same" }), `{"same":99999}`)
}

func TestJSONTextOfHostileMapsIsLinear(t *testing.T) {
	within := func(what string, v []byte) {
		t.Helper()
		start := time.Now()
		if !json.Valid(AppendValueJSON(nil, v, JSONOptions{})) {
			t.Errorf("%s: invalid JSON", what)
		}
		if d := time.Since(start); d > time.Minute {
			t.Errorf("%s took %v", what, d)
		}
	}
	within("many keys", object(300000, func(i int) string { return fmt.Sprintf("%06d", i) }))
	within("many pairs", object(300000, func(i int) string { return fmt.Sprintf("%06d", i/2) }))
	within("equal bitmap bits", object(300000, func(i int) string { return fmt.Sprintf("aaaaaaaa%06dbbbbbbbb", i) }))

	// Duplicates at each level, in small and in large maps, must not be
	// rendered twice per level.
	nested := func(fill int) []byte {
		v := AppendInt(nil, 1)
		for range MaxDepth - 1 {
			m := AppendMapHeader(nil, 3+fill)
			m = append(AppendString(m, "a"), v...)
			for i := range fill {
				m = AppendNil(AppendString(m, fmt.Sprint(i)))
			}
			m = AppendNil(AppendString(m, "b"))
			m = AppendNil(AppendString(m, "b"))
			v = m
		}
		return v
	}
	within("nested small maps", nested(0))
	within("nested large maps", nested(40))

	// Quotes in quotes.
	v := AppendInt(nil, 1)
	for range MaxDepth - 1 {
		v = AppendNil(append(AppendMapHeader(nil, 1), v...))
	}
	within("maps as keys", v)
}

func TestAppendValueJSONDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 8192)
	rec, _, err := AppendJSON(nil, []byte(`{"a":1,"b":"é\n","a":2.5,"c":{"d":[1,1e300,true]},"e":0.1}`))
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		AppendValueJSON(buf, rec, JSONOptions{EscapeUnicode: true})
		AppendValueJSON(buf, benchRecord, JSONOptions{})
		AppendJSONString(buf, "some text", JSONOptions{})
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkAppendValueJSON(b *testing.B) {
	rec, _, err := AppendJSON(nil, []byte(benchLine))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 8192)
	b.SetBytes(int64(len(benchLine)))
	b.ReportAllocs()
	for b.Loop() {
		AppendValueJSON(buf, rec, JSONOptions{EscapeUnicode: true})
	}
}

func BenchmarkAppendValueJSONUnicode(b *testing.B) {
	rec := AppendString(AppendString(AppendMapHeader(nil, 1), "log"), "日本語のログ: 注文が見つかりません。もう一度お試しください。 (order 42)")
	buf := make([]byte, 0, 8192)
	for _, escape := range []bool{true, false} {
		b.Run(fmt.Sprintf("escape=%v", escape), func(b *testing.B) {
			b.SetBytes(int64(len(rec)))
			for b.Loop() {
				AppendValueJSON(buf, rec, JSONOptions{EscapeUnicode: escape})
			}
		})
	}
}

func BenchmarkAppendFloatText(b *testing.B) {
	for _, f := range []float64{0.0312, 17.25, 9.3, 1700000000.250001, 1e-7} {
		b.Run(fmt.Sprint(f), func(b *testing.B) {
			buf := make([]byte, 0, 64)
			for b.Loop() {
				appendFloatText(buf, f)
			}
		})
	}
}

func BenchmarkManyKeys(b *testing.B) {
	for _, n := range []int{8, 32, 33, 200} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			v := object(n, func(i int) string { return fmt.Sprint("field_", i) })
			buf := make([]byte, 0, 8192)
			for b.Loop() {
				AppendValueJSON(buf, v, JSONOptions{})
			}
		})
	}
}

// Every float is written as printf does with %.16g.
func FuzzFloatText(f *testing.F) {
	for _, x := range []float64{9.3, 0.0312, 4.35, 99999999.5, 0.999999, 1e-4, 123456.789} {
		f.Add(math.Float64bits(x), int64(x*1000))
	}
	f.Fuzz(func(t *testing.T, bits uint64, n int64) {
		near := math.Float64frombits(math.Float64bits(float64(n%1e6)/100) + bits%5) // Next to a short decimal.
		for _, x := range []float64{math.Float64frombits(bits), float64(n) / 1000, float64(n) / 10, float64(n%100000) / 1e6, near} {
			if x-x != 0 {
				continue
			}
			want := strconv.FormatFloat(x, 'g', 16, 64)
			if x == math.Trunc(x) && x >= -1<<63 && x < 1<<63 {
				want = strconv.FormatFloat(x, 'f', 1, 64)
			}
			if got := string(appendFloatText(nil, x)); got != want {
				t.Fatalf("%v is %s, want %s", x, got, want)
			}
		}
	})
}

// What was read from JSON text and written again is read the same by
// encoding/json, which keeps the last of duplicate keys too.
func FuzzJSONRoundTrip(f *testing.F) {
	f.Add([]byte(benchLine))
	f.Add([]byte(`{"a":[1,-2.5e3,true,false,null,"é😀\n\u007f"],"a":{},"b":18446744073709551615}`))
	f.Add([]byte(`[{"a":{"a":1,"a":2},"b":1,"a":3}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, rest, err := AppendJSON(nil, text)
		if err != nil || !plainJSON(text) {
			return
		}
		decode := func(text []byte) any {
			var v any
			dec := json.NewDecoder(bytes.NewReader(text))
			dec.UseNumber()
			if err := dec.Decode(&v); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			return roundNumbers(v)
		}
		want := fmt.Sprint(decode(text[:len(text)-len(rest)]))
		for _, escape := range []bool{true, false} {
			out := AppendValueJSON(nil, v, JSONOptions{EscapeUnicode: escape})
			if got := fmt.Sprint(decode(out)); got != want {
				t.Fatalf("%q became %q", text, out)
			}
		}
	})
}

// roundNumbers gives numbers the text they have in Fluent Bit.
func roundNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return string(AppendValueJSON(nil, appendAny(nil, nil, v), JSONOptions{}))
	case []any:
		for i := range v {
			v[i] = roundNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = roundNumbers(v[k])
		}
	}
	return v
}

// Whatever the bytes, the text is valid JSON.
func FuzzAppendValueJSON(f *testing.F) {
	for _, s := range sample {
		f.Add([]byte(s.enc))
	}
	f.Add(benchRecord)
	f.Add([]byte("\x84\xa1a\x01\xa1a\x91\xc1\x81\x01\x02\x03\xa1a\xdf\xff\xff\xff\xff"))
	f.Add(object(40, func(i int) string { return strconv.Itoa(i % 35) }))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, escape := range []bool{true, false} {
			out := AppendValueJSON(nil, b[:len(b):len(b)], JSONOptions{EscapeUnicode: escape})
			if !json.Valid(out) {
				t.Fatalf("% x became invalid JSON %q", b, out)
			}
			if v, rest, err := AppendJSON(nil, out); err != ErrDepth && (err != nil || len(rest) > 0 || len(v) == 0) {
				t.Fatalf("%q cannot be read again: %v", out, err)
			}
		}
	})
}
