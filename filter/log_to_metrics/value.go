package log_to_metrics

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/accessor"
	"github.com/kagarilog/kagari/option"
)

// label is one label of the metric.
type label struct {
	name string
	key  *event.Accessor // nil: always empty
	text string          // the key as written
}

// maxLabels and maxLabel are Fluent Bit's limits for the number of labels and
// their length in bytes.
const (
	maxLabels = 128
	maxLabel  = 251
)

// labelField binds an option to the list of labels that both share, as their
// order counts.
func (c *Config) labelField(name, doc string) option.Field {
	var lines []string
	return option.Lines(&lines, name, doc).WithCheck(func() error {
		for _, line := range lines {
			l := label{name: line, text: line}
			if name == "add_label" {
				var ok bool
				if l.name, l.text, ok = pair(line); !ok {
					return fmt.Errorf("%q is not the name of a label and a key, separated by a blank", line)
				}
			}
			c.labels = append(c.labels, l)
		}
		lines = nil
		return nil
	})
}

// allLabels returns those of kubernetes_mode and then those of the options.
func (c *Config) allLabels(log *slog.Logger) []label {
	var all []label
	if c.KubernetesMode {
		for _, name := range [...]string{"namespace_name", "pod_name", "container_name", "docker_id", "pod_id"} {
			all = append(all, label{name: name, text: "$kubernetes['" + name + "']"})
		}
	}
	all = append(all, c.labels...)
	for i := range all {
		l := &all[i]
		var err error
		if l.key, err = event.ParseAccessor(l.text); err != nil {
			log.Warn("a label has no key of the record and is always empty", "label", l.name, "error", err)
			l.key = nil
			continue
		}
		accessor.WarnIgnored(log, l.key, "where", "label "+l.name)
	}
	return all
}

func names(labels []label) (all []string) {
	for _, l := range labels {
		all = append(all, l.name)
	}
	return all
}

// append appends the text of the label for a record: text and numbers count,
// everything else is empty. The text is cut at maxLabel bytes and valid UTF-8.
func (l *label) append(dst []byte, e *event.Event) []byte {
	if l.key == nil {
		return dst
	}
	v, ok := lookup(l.key, e)
	if !ok {
		return dst
	}
	start := len(dst)
	switch v.Kind() {
	case event.KindString:
		text, _ := v.Str()
		if len(text) > maxLabel {
			text = text[:maxLabel]
			for i := 1; i <= utf8.UTFMax; i++ {
				if utf8.RuneStart(text[maxLabel-i]) {
					if !utf8.FullRune(text[maxLabel-i:]) {
						text = text[:maxLabel-i]
					}
					break
				}
			}
		}
		if dst = append(dst, text...); !utf8.Valid(text) {
			dst = append(dst[:start], bytes.ToValidUTF8(text, []byte("\uFFFD"))...)
		}
	case event.KindInt, event.KindUint, event.KindFloat:
		dst, _ = event.AppendPlain(dst, v)
	}
	return dst
}

// bucketField binds the upper bounds of the buckets.
func bucketField(bounds *[]float64) option.Field {
	var lines []string
	return option.Lines(&lines, "bucket",
		"An upper bound of a bucket of the histogram. By default they are 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5 and 10; there is always one without a bound.").
		WithCheck(func() error {
			for _, line := range lines {
				n, ok := leadingNumber([]byte(line))
				if !ok {
					return fmt.Errorf("%q is not a number", line)
				}
				*bounds = append(*bounds, n)
			}
			lines = nil
			return nil
		})
}

// number returns the number that a value is, or that text begins with.
func number(v event.Value) (float64, bool) {
	switch v.Kind() {
	case event.KindString:
		text, _ := v.Str()
		return leadingNumber(text)
	case event.KindInt, event.KindUint, event.KindFloat:
		n, ok := v.Float()
		return n, ok && !math.IsNaN(n)
	}
	return 0, false
}

// leadingNumber reads a decimal number, behind blanks and whatever follows it, as
// C's scanf does.
func leadingNumber(s []byte) (float64, bool) {
	s = bytes.TrimLeft(s, " \t\r\n\v\f")
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	digits := 0
	count := func() {
		for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			digits++
		}
	}
	if count(); i < len(s) && s[i] == '.' {
		i++
		count()
	}
	if digits == 0 {
		return 0, false
	}
	if end := i; end < len(s) && s[end]|0x20 == 'e' {
		if i++; i < len(s) && (s[i] == '-' || s[i] == '+') {
			i++
		}
		if digits = 0; i < len(s) {
			count()
		}
		if digits == 0 {
			i = end
		}
	}
	n, err := strconv.ParseFloat(string(s[:i]), 64)
	return n, err == nil || math.IsInf(n, 0)
}
