package cnum

import (
	"math"
	"testing"
)

func TestFloat(t *testing.T) {
	f := func(text string, want float64, n int) {
		t.Helper()
		if got, m := Float([]byte(text)); got != want || m != n {
			t.Errorf("Float(%q) = %v and %d bytes, want %v and %d", text, got, m, want, n)
		}
	}
	f("", 0, 0)
	f("x", 0, 0)
	f("-", 0, 0)
	f(".", 0, 0)
	f("12", 12, 2)
	f("-1.5e3x", -1500, 6)
	f("12abc", 12, 2)
	f("1e", 1, 1)
	f("1e+", 1, 1)
	f("1_000", 1, 1)
	f(".5", 0.5, 2)
	f("5.", 5, 2)
	f(" \t+7 ", 7, 4)
	f("0x1A", 26, 4)
	f("0x1.8p1z", 3, 7)
	f("0x", 0, 1)
	f("0xg", 0, 1)
	f("-inf", math.Inf(-1), 4)
	f("Infinity!", math.Inf(1), 8)
	f("1e400", math.Inf(1), 5)
	if v, n := Float([]byte("nano")); !math.IsNaN(v) || n != 3 {
		t.Errorf("Float(nano) = %v, %d", v, n)
	}
}

func TestInt(t *testing.T) {
	f := func(text string, want int64, n int, fits bool) {
		t.Helper()
		if got, m, ok := Int([]byte(text)); got != want || m != n || ok != fits {
			t.Errorf("Int(%q) = %v and %d bytes, fits %v; want %v, %d, %v", text, got, m, ok, want, n, fits)
		}
	}
	f("", 0, 0, true)
	f("x", 0, 0, true)
	f("-", 0, 0, true)
	f("12x", 12, 2, true)
	f(" -12", -12, 4, true)
	f("+7", 7, 2, true)
	f("9223372036854775807", math.MaxInt64, 19, true)
	f("9223372036854775808", math.MaxInt64, 19, false)
	f("-9223372036854775808", math.MinInt64, 20, true)
	f("99999999999999999999 ", math.MaxInt64, 20, false)
	f("-99999999999999999999", math.MinInt64, 21, false)
}

func TestNothingIsAllocated(t *testing.T) {
	texts := [][]byte{[]byte("-12.75 ms"), []byte("1000000000000000000000000000000000000000"), []byte("abc")}
	if n := testing.AllocsPerRun(100, func() {
		for _, b := range texts {
			Float(b)
			Int(b)
		}
	}); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"", "-1.5e3x", "0x1.8p-1", " +inf", "nan", "99999999999999999999"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, n := Float(b)
		if n < 0 || n > len(b) {
			t.Fatalf("Float took %d of %d bytes", n, len(b))
		}
		if again, m := Float(b[:n]); m != n || again != v && !math.IsNaN(v) {
			t.Fatalf("%q is %v, but its number %q is %v", b, v, b[:n], again)
		}
		i, n, _ := Int(b)
		if n < 0 || n > len(b) || n == 0 && i != 0 {
			t.Fatalf("Int(%q) = %d with %d bytes", b, i, n)
		}
	})
}
