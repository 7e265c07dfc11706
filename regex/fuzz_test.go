package regex

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func addRecorded(f *testing.F) {
	for _, r := range readRecorded(f) {
		f.Add(r.pattern, r.text)
	}
	for _, l := range benchLines {
		f.Add(l.pattern, l.line)
	}
}

// No pattern makes Compile panic or return an error of another kind.
func FuzzCompile(f *testing.F) {
	for _, r := range readRecorded(f) {
		f.Add(r.pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		if len(pattern) > 4096 {
			return
		}
		re, err := Compile(pattern)
		if err != nil {
			var se *SyntaxError
			if !errors.As(err, &se) || se.Offset < 0 || se.Offset > len(pattern) || se.Pattern != pattern {
				t.Fatalf("%q: error %#v", pattern, err)
			}
			return
		}
		if re.String() != pattern || len(re.Names()) != re.NumGroups()+1 {
			t.Fatalf("%q: String %q, %d names, %d groups", pattern, re, len(re.Names()), re.NumGroups())
		}
	})
}

// No match runs out of the text, takes for ever, or contradicts another method.
func FuzzMatch(f *testing.F) {
	addRecorded(f)
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 512 || len(text) > 4096 {
			return
		}
		re, err := Compile(pattern)
		if err != nil {
			return
		}
		caps, ok, err := re.FindAt([]byte(text), 0, nil)
		if match, matchErr := re.TryMatch([]byte(text)); err == nil && matchErr == nil && match != ok {
			t.Fatalf("%q in %q: Match and Find disagree", pattern, text)
		}
		if !ok {
			return
		}
		if len(caps) != 2*(re.NumGroups()+1) || caps[0] < 0 {
			t.Fatalf("%q in %q: got %v", pattern, text, caps)
		}
		for i := 0; i < len(caps); i += 2 {
			unset := caps[i] == -1 && caps[i+1] == -1
			if !unset && (caps[i] < 0 || caps[i] > caps[i+1] || caps[i+1] > len(text)) {
				t.Fatalf("%q in %q: group %d is %v", pattern, text, i/2, caps[i:i+2])
			}
		}
		if prefix, ok := re.FindPrefix([]byte(text), nil); ok && caps[0] != 0 && prefix[0] == 0 && !strings.Contains(pattern, "K") {
			t.Fatalf("%q in %q: found at %d, but also at the start", pattern, text, caps[0])
		}
	})
}

// Where the standard library reads a pattern the same way, it finds the same.
func FuzzAgainstStdlib(f *testing.F) {
	addRecorded(f)
	// Ruby gives another meaning to the rest.
	plain := regexp.MustCompile(`^[a-c .|+*1é-]*$`)
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 64 || len(text) > 256 || !plain.MatchString(pattern) || !utf8.ValidString(text) {
			return
		}
		// Ruby reduces nested quantifiers and reads a second plus as possessive.
		for _, q := range []string{"++", "*+", "+*", "**", "+.", "*."} {
			if strings.Contains(pattern, q) {
				return
			}
		}
		std, err := regexp.Compile(pattern)
		if err != nil {
			return
		}
		re, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := re.FindAt([]byte(text), 0, nil)
		if want := std.FindStringSubmatchIndex(text); err == nil && (ok != (want != nil) || ok && !slices.Equal(got, want)) {
			t.Fatalf("%q in %q: got %v, want %v", pattern, text, got, want)
		}
	})
}
