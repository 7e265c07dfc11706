package event

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestAppendUsesSmallestEncoding(t *testing.T) {
	f := func(got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("got % x, want % x", got, want)
		}
	}
	f(AppendNil(nil), "\xc0")
	f(AppendBool(nil, true), "\xc3")
	f(AppendBool(nil, false), "\xc2")
	f(AppendInt(nil, 0), "\x00")
	f(AppendInt(nil, 127), "\x7f")
	f(AppendInt(nil, 128), "\xcc\x80")
	f(AppendInt(nil, 255), "\xcc\xff")
	f(AppendInt(nil, 256), "\xcd\x01\x00")
	f(AppendInt(nil, 65536), "\xce\x00\x01\x00\x00")
	f(AppendInt(nil, math.MaxInt64), "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff")
	f(AppendInt(nil, -1), "\xff")
	f(AppendInt(nil, -32), "\xe0")
	f(AppendInt(nil, -33), "\xd0\xdf")
	f(AppendInt(nil, -128), "\xd0\x80")
	f(AppendInt(nil, -129), "\xd1\xff\x7f")
	f(AppendInt(nil, -32769), "\xd2\xff\xff\x7f\xff")
	f(AppendInt(nil, math.MinInt64), "\xd3\x80\x00\x00\x00\x00\x00\x00\x00")
	f(AppendUint(nil, math.MaxUint64), "\xcf\xff\xff\xff\xff\xff\xff\xff\xff")
	f(AppendFloat(nil, 1.5), "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00")
	f(AppendString(nil, "ab"), "\xa2ab")
	f(AppendString(nil, []byte("ab")), "\xa2ab")
	f(AppendString(nil, strings.Repeat("a", 32))[:3], "\xd9\x20a")
	f(AppendString(nil, strings.Repeat("a", 256))[:4], "\xda\x01\x00a")
	f(AppendString(nil, strings.Repeat("a", 65536))[:6], "\xdb\x00\x01\x00\x00a")
	f(AppendBinary(nil, []byte("ab")), "\xc4\x02ab")
	f(AppendBinary(nil, make([]byte, 256))[:3], "\xc5\x01\x00")
	f(AppendBinary(nil, make([]byte, 65536))[:5], "\xc6\x00\x01\x00\x00")
	f(AppendExt(nil, 0, make([]byte, 8))[:2], "\xd7\x00")
	f(AppendExt(nil, -1, make([]byte, 12))[:3], "\xc7\x0c\xff")
	f(AppendMapHeader(nil, 15), "\x8f")
	f(AppendMapHeader(nil, 16), "\xde\x00\x10")
	f(AppendMapHeader(nil, 65536), "\xdf\x00\x01\x00\x00")
	f(AppendArrayHeader(nil, 15), "\x9f")
	f(AppendArrayHeader(nil, 16), "\xdc\x00\x10")
	f(AppendArrayHeader(nil, 65536), "\xdd\x00\x01\x00\x00")
}

func TestIntegersRoundTrip(t *testing.T) {
	for shift := range 64 {
		for d := int64(-2); d <= 2; d++ {
			for _, i := range []int64{int64(1)<<shift + d, -(int64(1) << shift) + d} {
				v := Value(AppendInt(nil, i))
				if got, ok := v.Int(); !ok || got != i || v.Kind() != KindInt {
					t.Errorf("Int of % x = %d, %v (%v); want %d", v, got, ok, v.Kind(), i)
				}
				if u, ok := v.Uint(); ok != (i >= 0) || ok && u != uint64(i) {
					t.Errorf("Uint of %d = %d, %v", i, u, ok)
				}
				if f, ok := v.Float(); !ok || f != float64(i) {
					t.Errorf("Float of %d = %v, %v", i, f, ok)
				}
			}
		}
	}
	v := Value(AppendUint(nil, math.MaxInt64+1))
	if v.Kind() != KindUint {
		t.Errorf("kind of 1<<63 is %v, want uint", v.Kind())
	}
	if _, ok := v.Int(); ok {
		t.Error("1<<63 was returned as an int64")
	}
	if u, ok := v.Uint(); !ok || u != 1<<63 {
		t.Errorf("Uint = %d, %v; want 1<<63", u, ok)
	}
	if f, ok := v.Float(); !ok || f != 1<<63 {
		t.Errorf("Float = %v, %v; want 1<<63", f, ok)
	}
}

// sample holds one value of each encoding.
var sample = []struct {
	enc  string
	kind Kind
}{
	{"\xc0", KindNil},
	{"\xc2", KindBool},
	{"\xc3", KindBool},
	{"\x00", KindInt},
	{"\xff", KindInt},
	{"\xcc\x01", KindInt},
	{"\xcd\x01\x02", KindInt},
	{"\xce\x01\x02\x03\x04", KindInt},
	{"\xcf\x01\x02\x03\x04\x05\x06\x07\x08", KindInt},
	{"\xcf\xf1\x02\x03\x04\x05\x06\x07\x08", KindUint},
	{"\xd0\x01", KindInt},
	{"\xd1\x01\x02", KindInt},
	{"\xd2\x01\x02\x03\x04", KindInt},
	{"\xd3\xf1\x02\x03\x04\x05\x06\x07\x08", KindInt},
	{"\xca\x01\x02\x03\x04", KindFloat},
	{"\xcb\x01\x02\x03\x04\x05\x06\x07\x08", KindFloat},
	{"\xa0", KindString},
	{"\xa2ab", KindString},
	{"\xd9\x02ab", KindString},
	{"\xda\x00\x02ab", KindString},
	{"\xdb\x00\x00\x00\x02ab", KindString},
	{"\xc4\x02ab", KindBinary},
	{"\xc5\x00\x02ab", KindBinary},
	{"\xc6\x00\x00\x00\x02ab", KindBinary},
	{"\x90", KindArray},
	{"\x92\x01\xa1a", KindArray},
	{"\xdc\x00\x02\x01\xa1a", KindArray},
	{"\xdd\x00\x00\x00\x02\x01\xa1a", KindArray},
	{"\x80", KindMap},
	{"\x82\xa1a\x01\xa1b\x90", KindMap},
	{"\xde\x00\x01\xa1a\x01", KindMap},
	{"\xdf\x00\x00\x00\x01\xa1a\x81\xa1b\x91\x01", KindMap},
	{"\xd4\x05a", KindExt},
	{"\xd5\x05ab", KindExt},
	{"\xd6\x05abcd", KindExt},
	{"\xd7\x05abcdefgh", KindExt},
	{"\xd8\x05abcdefghabcdefgh", KindExt},
	{"\xc7\x02\x05ab", KindExt},
	{"\xc7\x00\x05", KindExt},
	{"\xc8\x00\x02\x05ab", KindExt},
	{"\xc9\x00\x00\x00\x02\x05ab", KindExt},
}

func TestNextTakesExactlyOneValue(t *testing.T) {
	for _, s := range sample {
		v, rest, err := Next([]byte(s.enc + "\x93"))
		if err != nil || string(v) != s.enc || string(rest) != "\x93" {
			t.Errorf("Next(% x 93) = % x, % x, %v", s.enc, v, rest, err)
		}
		if v.Kind() != s.kind {
			t.Errorf("kind of % x is %v, want %v", s.enc, v.Kind(), s.kind)
		}
		// Whatever is missing at the end, more bytes are asked for, and no
		// accessor reads past the end.
		for n := range len(s.enc) {
			cut := []byte(s.enc)[:n:n]
			v, rest, err := Next(cut)
			if err != io.ErrUnexpectedEOF || v != nil || len(rest) != n {
				t.Errorf("Next(% x) = % x, % x, %v; want unexpected EOF", cut, v, rest, err)
			}
			exercise(cut)
		}
	}
}

// exercise calls every method of v.
func exercise(v Value) {
	v.Kind()
	v.Str()
	v.Int()
	v.Uint()
	v.Float()
	v.Bool()
	v.Ext()
	v.Len()
	v.IsNil()
	v.Get("a")
	for range v.Items() {
	}
	for range v.Pairs() {
	}
}

func TestNextRefuses(t *testing.T) {
	f := func(in string, want error) {
		t.Helper()
		if _, _, err := Next([]byte(in)); !errors.Is(err, want) {
			t.Errorf("Next(% .20x) = %v, want %v", in, err, want)
		}
	}
	f("\xc1", ErrMalformed)
	f("\x92\x01\xc1", ErrMalformed)
	f("\x81\xc1\x01", ErrMalformed)
	// Lengths of 4 GiB that are not there.
	f("\xdb\xff\xff\xff\xff", io.ErrUnexpectedEOF)
	f("\xc6\xff\xff\xff\xffabc", io.ErrUnexpectedEOF)
	f("\xc9\xff\xff\xff\xff\x01abc", io.ErrUnexpectedEOF)
	f("\xdd\xff\xff\xff\xff\x01", io.ErrUnexpectedEOF)
	f("\xdf\xff\xff\xff\xff\x01\x02", io.ErrUnexpectedEOF)
	f(strings.Repeat("\xdd\xff\xff\xff\xff", 100), io.ErrUnexpectedEOF)
	f(strings.Repeat("\x91", 1000000), ErrDepth)
	f(strings.Repeat("\x91", MaxDepth+1)+"\x01", ErrDepth)
	f(strings.Repeat("\x91", MaxDepth)+"\x01", nil)
	f(strings.Repeat("\x81\xa0", MaxDepth)+"\x01", nil)
}

func TestHeaders(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 65535, 65536, 1 << 24} {
		if got, rest, err := ReadMapHeader(append(AppendMapHeader(nil, n), 7)); got != n || len(rest) != 1 || err != nil {
			t.Errorf("ReadMapHeader = %d, % x, %v; want %d", got, rest, err, n)
		}
		if got, rest, err := ReadArrayHeader(append(AppendArrayHeader(nil, n), 7)); got != n || len(rest) != 1 || err != nil {
			t.Errorf("ReadArrayHeader = %d, % x, %v; want %d", got, rest, err, n)
		}
	}
	for _, in := range []string{"", "\xde", "\xde\x00", "\xdf\x00\x00\x00"} {
		if _, _, err := ReadMapHeader([]byte(in)); err != io.ErrUnexpectedEOF {
			t.Errorf("ReadMapHeader(% x) = %v, want unexpected EOF", in, err)
		}
	}
	if _, _, err := ReadMapHeader([]byte("\x90")); err != ErrMalformed {
		t.Errorf("ReadMapHeader of an array = %v, want malformed", err)
	}
	if _, _, err := ReadArrayHeader([]byte("\x80")); err != ErrMalformed {
		t.Errorf("ReadArrayHeader of a map = %v, want malformed", err)
	}
}

func TestAccessors(t *testing.T) {
	str := func(enc, want string) {
		t.Helper()
		if got, ok := Value(enc).Str(); !ok || string(got) != want || cap(got) != len(got) {
			t.Errorf("Str(% x) = %q (cap %d), %v", enc, got, cap(got), ok)
		}
	}
	str("\xa0", "")
	str("\xa2ab", "ab")
	str("\xd9\x02ab", "ab")
	str("\xda\x00\x02ab", "ab")
	str("\xdb\x00\x00\x00\x02ab", "ab")
	str("\xc4\x02ab", "ab")
	str("\xc5\x00\x02ab", "ab")
	str("\xc6\x00\x00\x00\x02ab", "ab")
	if _, ok := Value("\x01").Str(); ok {
		t.Error("an integer was returned as a string")
	}

	ext := func(enc, want string) {
		t.Helper()
		if typ, data, ok := Value(enc).Ext(); !ok || typ != -2 || string(data) != want {
			t.Errorf("Ext(% x) = %d, %q, %v", enc, typ, data, ok)
		}
	}
	ext("\xd5\xfeab", "ab")
	ext("\xc7\x02\xfeab", "ab")
	ext("\xc7\x00\xfe", "")
	ext("\xc8\x00\x02\xfeab", "ab")
	ext("\xc9\x00\x00\x00\x02\xfeab", "ab")

	if f, ok := Value("\xca\x3f\xc0\x00\x00").Float(); !ok || f != 1.5 {
		t.Errorf("float32 = %v, %v; want 1.5", f, ok)
	}
	if b, ok := Value("\xc3").Bool(); !ok || !b {
		t.Error("true is not true")
	}
	if b, ok := Value("\xc2").Bool(); !ok || b {
		t.Error("false is not false")
	}
	if _, ok := Value("\xc0").Bool(); ok {
		t.Error("nil is a bool")
	}
	if !Value("\xc0").IsNil() || Value(nil).IsNil() {
		t.Error("IsNil is true for nil alone")
	}
}

func TestGetTakesTheLastDuplicate(t *testing.T) {
	long := strings.Repeat("k", 40)
	m := AppendMapHeader(nil, 7)
	m = AppendString(m, "a")
	m = AppendInt(m, 1)
	m = AppendInt(m, 5) // Not a string key.
	m = AppendInt(m, 2)
	m = AppendString(m, "a")
	m = AppendInt(m, 3)
	m = AppendString(m, long)
	m = AppendInt(m, 4)
	m = AppendBinary(m, []byte("bin"))
	m = AppendInt(m, 5)
	m = AppendString(m, "nil")
	m = AppendNil(m)
	m = AppendString(m, "")
	m = AppendInt(m, 6)
	f := func(key, want string) {
		t.Helper()
		got, ok := Value(m).Get(key)
		if string(got) != want || ok != (want != "") {
			t.Errorf("Get(%q) = % x, %v; want % x", key, got, ok, want)
		}
	}
	f("a", "\x03")
	f(long, "\x04")
	f("bin", "")
	f("b", "")
	f("nil", "\xc0")
	f("", "\x06")
	if _, ok := Value("\x91\x01").Get("a"); ok {
		t.Error("an array has keys")
	}
}

func TestIterators(t *testing.T) {
	var got []string
	for v := range Value("\x93\x01\xa1a\x90").Items() {
		got = append(got, string(v))
	}
	if strings.Join(got, "|") != "\x01|\xa1a|\x90" {
		t.Errorf("Items = %q", got)
	}
	got = nil
	for k, v := range Value("\x82\xa1a\x01\xa1a\x02").Pairs() {
		got = append(got, string(k), string(v))
	}
	if strings.Join(got, "|") != "\xa1a|\x01|\xa1a|\x02" {
		t.Errorf("Pairs = %q", got)
	}
	for range Value("\x92\x01\x02").Items() {
		break
	}
	for range Value("\x80").Items() {
		t.Error("a map has items")
	}
	if n := Value("\x92\x01\x02").Len(); n != 2 {
		t.Errorf("Len = %d, want 2", n)
	}
}

func TestValueDoesNotAllocate(t *testing.T) {
	rec := benchRecord
	if n := testing.AllocsPerRun(100, func() {
		v, _, err := Next(rec)
		if err != nil {
			t.Fatal(err)
		}
		for k, val := range v.Pairs() {
			k.Str()
			for range val.Items() {
			}
			val.Int()
		}
		v.Get("level")
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// benchRecord is what benchLine becomes.
var benchRecord = func() []byte {
	b := AppendMapHeader(nil, 9)
	s := func(k, v string) { b = AppendString(AppendString(b, k), v) }
	s("time", "2026-03-14T15:09:26.535897932Z")
	s("level", "info")
	s("msg", "request served from the upstream pool without a retry")
	s("user", "alice.liddell@example.com")
	s("path", "/api/v1/orders/8123/items?page=2")
	b = AppendInt(AppendString(b, "status"), 200)
	b = AppendFloat(AppendString(b, "took"), 0.0312)
	b = AppendBool(AppendString(b, "cached"), false)
	b = AppendMapHeader(AppendString(b, "kubernetes"), 3)
	s("namespace", "shop")
	s("pod", "orders-7d9c5b6f4-x2x7k")
	b = AppendInt(AppendString(b, "restarts"), 3)
	return b
}()

func BenchmarkNext(b *testing.B) {
	b.SetBytes(int64(len(benchRecord)))
	for b.Loop() {
		if _, _, err := Next(benchRecord); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for b.Loop() {
		Value(benchRecord).Get("status")
	}
}

func FuzzNext(f *testing.F) {
	for _, s := range sample {
		f.Add([]byte(s.enc))
	}
	f.Add(bytes.Repeat([]byte{0x91}, 300))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Bytes behind the input that Next must not look at.
		v, rest, err := Next(b[:len(b):len(b)])
		exercise(b)
		if err != nil {
			if v != nil || len(rest) != len(b) {
				t.Fatalf("Next = % x, % x with error %v", v, rest, err)
			}
			return
		}
		if len(v) == 0 || len(v)+len(rest) != len(b) || v.Kind() == KindInvalid {
			t.Fatalf("Next(% x) = % x, % x", b, v, rest)
		}
		for n := range v {
			if _, _, err := Next(v[:n:n]); err != io.ErrUnexpectedEOF {
				t.Fatalf("Next(% x) = %v, want unexpected EOF", v[:n], err)
			}
		}
		exercise(v)
		n := 0
		for range v.Items() {
			n++
		}
		for range v.Pairs() {
			n++
		}
		if n != v.Len() {
			t.Fatalf("iterators gave %d of %d elements of % x", n, v.Len(), v)
		}
	})
}
