package option_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/option"
)

// The tables hold what Fluent Bit's flb_utils_* functions make of the same
// text, but for what the comments say.

func TestParseBool(t *testing.T) {
	for s, want := range map[string]bool{"true": true, "On": true, "YES": true, "false": false, "oFF": false, "no": false} {
		if got, err := option.ParseBool(s); got != want || err != nil {
			t.Errorf("ParseBool(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "1", "0", "y", "n", "t", "enabled", " true"} {
		if _, err := option.ParseBool(s); err == nil {
			t.Errorf("ParseBool(%q) gives no error", s)
		}
	}
}

func TestParseSize(t *testing.T) {
	f := func(parse func(string) (int64, error), s string, want int64) {
		t.Helper()
		if got, err := parse(s); got != want || err != nil {
			t.Errorf("%q is %d, %v; want %d", s, got, err, want)
		}
	}
	bad := func(parse func(string) (int64, error), texts ...string) {
		t.Helper()
		for _, s := range texts {
			if got, err := parse(s); err == nil {
				t.Errorf("%q is %d without an error", s, got)
			}
		}
	}
	for s, want := range map[string]int64{
		"0": 0, "false": 0, "FALSE": 0, "512": 512, "1k": 1000, "1K": 1000, "2KB": 2000, "2kb": 2000, "1.5M": 1_500_000,
		"5MB": 5_000_000, "1g": 1_000_000_000, "3GB": 3_000_000_000, "-1": -1, "+7": 7, "10.9": 10, ".5K": 500,
	} {
		f(option.ParseSize, s, want)
	}
	bad(option.ParseSize, "", "x", "1T", "1KiB", "1B", "1 K", "K", "-", "1e3x", "9223372036854775807G", strings.Repeat("9", 400))
	for s, want := range map[string]int64{"1K": 1024, "1KiB": 1024, "1Ki": 1024, "2MB": 2 << 20, "2MiB": 2 << 20, "1G": 1 << 30, "1.5k": 1536, "false": 0, "12": 12} {
		f(option.ParseBinarySize, s, want)
	}
	bad(option.ParseBinarySize, "", "1B", "1TiB", "M")
}

func TestParseSeconds(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "5": 5 * time.Second, "30s": 30 * time.Second, "5m": 5 * time.Minute, "5M": 5 * time.Minute, "2h": 2 * time.Hour,
		"1D": 24 * time.Hour, "-1": -time.Second, "10 sec": 10 * time.Second,
		// Decimals and Go's forms count here; Fluent Bit leaves them out.
		"1.5": 1500 * time.Millisecond, "500ms": 500 * time.Millisecond, "1m30s": 90 * time.Second,
	} {
		if got, err := option.ParseSeconds(s); got != want || err != nil {
			t.Errorf("ParseSeconds(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "x", "5 parsecs", "99999999999999", "1e", strings.Repeat("9", 500)} {
		if got, err := option.ParseSeconds(s); err == nil {
			t.Errorf("ParseSeconds(%q) = %v without an error", s, got)
		}
	}
}

func TestSplit(t *testing.T) {
	f := func(got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f(option.SplitComma("", 0))
	f(option.SplitComma(" , ,", 0))
	f(option.SplitComma("a, b ,c d,", 0), "a", "b", "c d")
	f(option.SplitComma("a,b,c, d", 2), "a", "b", "c, d")
	f(option.SplitComma("a,b,", 2), "a", "b")
	f(option.SplitWords("", 0))
	f(option.SplitWords("  ", 0))
	f(option.SplitWords("a  b c ", 0), "a", "b", "c")
	f(option.SplitWords(`key "a b" c`, 0), "key", "a b", "c")
	f(option.SplitWords(`"say \"hi\"" x`, 0), `say "hi"`, "x")
	f(option.SplitWords(`"never closed`, 0), "never closed")
	f(option.SplitWords(`"" x`, 0), "", "x")
	f(option.SplitWords(`$a ^(\w+) \d  rest  of it `, 1), "$a", `^(\w+) \d  rest  of it `)
	f(option.SplitWords(`a b`, 2), "a", "b")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "1", "-1.5K", "false", `"a \" b`, "a,b", "1m30s", "9999999999999999999G", "+.", "\x00"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if _, err := option.ParseBool(s); err == nil && len(s) > 5 {
			t.Errorf("%q is a boolean", s)
		}
		if n, err := option.ParseSize(s); err == nil && (n == math.MaxInt64 || n == math.MinInt64) {
			t.Errorf("%q is the size %d", s, n)
		}
		if _, err := option.ParseBinarySize(s); err == nil && len(s) == 0 {
			t.Error("empty text is a size")
		}
		if d, err := option.ParseSeconds(s); err == nil && s != "" && s[0] >= '0' && s[0] <= '9' && d < 0 {
			t.Errorf("%q is the time %v", s, d)
		}
		limit %= 10
		for _, p := range option.SplitComma(s, limit) {
			if p == "" {
				t.Errorf("SplitComma(%q, %d) has an empty part", s, limit)
			}
		}
		words := option.SplitWords(s, limit)
		if limit > 0 && len(words) > limit+1 {
			t.Errorf("SplitWords(%q, %d) has %d parts", s, limit, len(words))
		}
		option.DidYouMean(s, []string{"path", "tag", s})
	})
}

func TestTimes(t *testing.T) {
	f := func(n int, unit, want time.Duration) {
		t.Helper()
		if got := option.Times(n, unit); got != want {
			t.Errorf("Times(%d, %v) = %v, want %v", n, unit, got, want)
		}
	}
	f(3, time.Second, 3*time.Second)
	f(-3, time.Millisecond, -3*time.Millisecond)
	f(math.MaxInt, time.Second, option.Forever)
	f(math.MinInt, time.Second, -option.Forever)
	f(math.MaxInt, 1, option.Forever)
}
