package multiline

import (
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
)

// join returns what a stream makes of lines, as JSON and with the times.
func join(j *Joiner, text string) string {
	s := j.NewStream()
	b := event.NewBatch("t")
	defer b.Free()
	for line := range strings.SplitSeq(text, "\x00") {
		s.Line(b, []byte(line), 0, 1)
	}
	s.Flush(b, 1)
	var out []byte
	for i := range b.Events {
		e := &b.Events[i]
		out = event.AppendInt(out, e.Time)
		out = append(event.AppendText(out, e.Record()), '\n')
	}
	return string(out)
}

// FuzzCRI compares the fast way through CRI lines with the line parser. Lines
// are separated by NUL bytes, as they may hold line feeds.
func FuzzCRI(f *testing.F) {
	for _, text := range []string{
		"2024-04-01T12:00:00.1Z stdout F a\x002024-04-01T12:00:00.2Z stdout F b\x002024-04-01T12:00:00.2+01:00 stdout F b",
		"2024-04-01T12:00:00.123456789Z stderr P a\x002024-04-01T12:00:00.1234567891Z stderr F b",
		"2024-04-01T12:00:00.1+02:00 stderr F a\x002024-04-01T12:00:00.1Z stderr F b\x002024-04-01T12:00:00.3-02:00 stderr F c",
		"2024-04-01T12:00:00.1Z stdout F \xff\xfe\x00", "2024-04-01T12:00:00.1Z stdout F a\nb", "2024-04-01T12:00:00.1Z\nstdout F a",
		"2024-04-01T12:00:60.1Z stdout F \x001969-04-01T12:00:00.1Z stdout F x\x002024-02-30T25:00:00.1Z stdout P x",
		"2024-04-01T12:00:00.1Zjunk1 stdout F a\x002024-04-01T12:00:00.1Zjunk1 stdout F a\x002024-04-01T12:00:00.1+9999  stdout F a",
	} {
		f.Add(text)
	}
	fast, _ := NewJoiner([]*Parser{NewBuiltin("cri")}, Options{})
	slow, _ := NewJoiner([]*Parser{NewBuiltin("cri")}, Options{})
	slow.uses[0].fast = nil
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := join(fast, text), join(slow, text); got != want {
			t.Errorf("%q\nthe fast way gives %s, the line parser %s", text, got, want)
		}
	})
}

// FuzzJavaStarts compares the fast way to find exceptions with the expression.
func FuzzJavaStarts(f *testing.F) {
	for _, text := range []string{
		"java.lang.Error: x", "Error: x", "\nError: x", "xError", "12:00 a.Throwable\r", "a:b:V8 errors stack trace:", "éException:", "\xffException\n", "Errors: aError:",
	} {
		f.Add(text)
	}
	r := NewBuiltin("java").rules[0]
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := r.quick([]byte(text)), r.re.MatchString(text); got != want {
			t.Errorf("%q: the fast way says %v, the expression %v", text, got, want)
		}
	})
}
