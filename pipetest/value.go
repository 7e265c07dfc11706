package pipetest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// appendNode appends the value that a node stands for, by the core schema of
// YAML 1.2: plain null, true, false, whole numbers and decimals are what they
// look like, everything else is text.
func appendNode(dst []byte, n config.Node) []byte {
	switch n.Shape {
	case option.List:
		dst = event.AppendArrayHeader(dst, len(n.Items))
		for _, item := range n.Items {
			dst = appendNode(dst, item)
		}
		return dst
	case option.Map:
		dst = event.AppendMapHeader(dst, len(n.Pairs))
		for _, p := range n.Pairs {
			dst = event.AppendString(dst, p.Key.Text)
			dst = appendNode(dst, p.Val)
		}
		return dst
	}
	if n.Quoted {
		return event.AppendString(dst, n.Text)
	}
	switch n.Text {
	case "", "~", "null", "Null", "NULL":
		return event.AppendNil(dst)
	case "true", "True", "TRUE":
		return event.AppendBool(dst, true)
	case "false", "False", "FALSE":
		return event.AppendBool(dst, false)
	case ".inf", "+.inf":
		return event.AppendFloat(dst, math.Inf(1))
	case "-.inf":
		return event.AppendFloat(dst, math.Inf(-1))
	case ".nan":
		return event.AppendFloat(dst, math.NaN())
	}
	if !looksNumeric(n.Text) {
		return event.AppendString(dst, n.Text)
	}
	if i, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
		return event.AppendInt(dst, i)
	}
	if u, err := strconv.ParseUint(n.Text, 10, 64); err == nil {
		return event.AppendUint(dst, u)
	}
	if f, err := strconv.ParseFloat(n.Text, 64); err == nil {
		return event.AppendFloat(dst, f)
	}
	return event.AppendString(dst, n.Text)
}

// looksNumeric tells whether text may be a decimal number: what ParseFloat
// takes beyond that, such as Infinity or 0x1p-2, is text in YAML.
func looksNumeric(s string) bool {
	digits := false
	for _, c := range s {
		switch {
		case '0' <= c && c <= '9':
			digits = true
		case !strings.ContainsRune("+-.eE", c):
			return false
		}
	}
	return digits && s[0] != 'e' && s[0] != 'E'
}

// parseTime reads RFC 3339 or seconds since the Unix epoch into nanoseconds.
func parseTime(s string) (int64, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UnixNano(), nil
	}
	sec, frac, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(sec, 10, 64)
	if err != nil || n < 0 || n > 1<<32-1 || len(frac) > 9 {
		return 0, badTime(s)
	}
	ns := int64(0)
	if frac != "" {
		if ns, err = strconv.ParseInt((frac + "000000000")[:9], 10, 64); err != nil || ns < 0 {
			return 0, badTime(s)
		}
	}
	return n*1e9 + ns, nil
}

func badTime(s string) error {
	return fmt.Errorf("%q is no time; write it like 2026-01-31T10:00:00.5Z, or as seconds since 1970", s)
}

// formatTime is what parseTime reads.
func formatTime(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

// equal tells whether two values are the same. The order of the keys of maps
// does not count and of keys given twice the last does, as everywhere in a
// record. A whole number is not a decimal one: they differ for destinations.
// Text that is not UTF-8 is compared as JSON shows it.
func equal(a, b event.Value) bool {
	if x, ok := a.Str(); ok {
		y, ok := b.Str()
		return ok && (string(x) == string(y) || strings.ToValidUTF8(string(x), "\ufffd") == strings.ToValidUTF8(string(y), "\ufffd"))
	}
	switch a.Kind() {
	case event.KindMap:
		if b.Kind() != event.KindMap {
			return false
		}
		x, y := lastFields(a), lastFields(b)
		return len(x) == len(y) && within(x, b)
	case event.KindArray:
		if b.Kind() != event.KindArray {
			return false
		}
		x, y := items(a), items(b)
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case event.KindFloat:
		x, _ := a.Float()
		y, _ := b.Float()
		return b.Kind() == event.KindFloat && (x == y || math.IsNaN(x) && math.IsNaN(y))
	}
	return string(a) == string(b)
}

func within(fields []field, b event.Value) bool {
	for _, f := range fields {
		if v, ok := b.Get(f.path); !ok || !equal(f.val, v) {
			return false
		}
	}
	return true
}

// subset tells whether all that want has is in got: maps are compared by the
// keys of want, at every depth.
func subset(want, got event.Value) bool {
	if want.Kind() != event.KindMap {
		return equal(want, got)
	}
	if got.Kind() != event.KindMap {
		return false
	}
	for _, f := range lastFields(want) {
		if v, ok := got.Get(f.path); !ok || !subset(f.val, v) {
			return false
		}
	}
	return true
}

func items(v event.Value) []event.Value {
	var out []event.Value
	for item := range v.Items() {
		out = append(out, item)
	}
	return out
}

// field is a value with the key or path that leads to it.
type field struct {
	path string
	val  event.Value
}

// lastFields returns the entries of a map in order; of equal keys the last
// counts, at the place of the first.
func lastFields(m event.Value) []field {
	var out []field
	at := map[string]int{}
	for k, v := range m.Pairs() {
		name := keyText(k)
		if i, ok := at[name]; ok {
			out[i].val = v
			continue
		}
		at[name] = len(out)
		out = append(out, field{name, v})
	}
	return out
}

func keyText(k event.Value) string {
	if s, ok := k.Str(); ok {
		return string(s)
	}
	return show(k)
}

// leaves flattens a record into its values with their paths, such as
// kubernetes.labels.app. Lists and empty maps are values.
func leaves(m event.Value) []field {
	if len(m) == 0 {
		return nil
	}
	return appendLeaves(nil, "", m)
}

func appendLeaves(out []field, prefix string, m event.Value) []field {
	for _, f := range lastFields(m) {
		name := f.path
		if name == "" || strings.ContainsAny(name, ".[]'\" \t\n") {
			name = "['" + strings.ReplaceAll(name, "'", "''") + "']"
		} else if prefix != "" {
			name = "." + name
		}
		path := prefix + name
		if f.val.Kind() == event.KindMap && len(lastFields(f.val)) > 0 {
			out = appendLeaves(out, path, f.val)
			continue
		}
		out = append(out, field{path, f.val})
	}
	return out
}

// show is a value as JSON, as people read it.
func show(v event.Value) string {
	return string(event.AppendValueJSON(nil, v, event.JSONOptions{}))
}

// lookup finds the value that name means in a record: a record accessor such as
// $kubernetes['labels']['app'], else the key of that name, else, split at its
// dots, the path.
func lookup(rec event.Value, name string) (event.Value, bool) {
	if strings.HasPrefix(name, "$") {
		a, err := event.ParseAccessor(name)
		if err != nil {
			return nil, false
		}
		return a.Lookup(rec)
	}
	for {
		if v, ok := rec.Get(name); ok {
			return v, true
		}
		head, rest, ok := strings.Cut(name, ".")
		if !ok {
			return nil, false
		}
		v, ok := rec.Get(head)
		if !ok || v.Kind() != event.KindMap {
			return nil, false
		}
		rec, name = v, rest
	}
}

// without returns the record without the named fields, which lookup would
// find.
func without(rec event.Value, names []string) event.Value {
	if len(rec) == 0 {
		return rec
	}
	for _, name := range names {
		rec = remove(rec, name)
	}
	return rec
}

func remove(rec event.Value, name string) event.Value {
	head, rest, dotted := strings.Cut(name, ".")
	if _, ok := rec.Get(name); ok {
		head, dotted = name, false
	}
	v, ok := rec.Get(head)
	if !ok || dotted && v.Kind() != event.KindMap {
		return rec
	}
	fields := lastFields(rec)
	n := len(fields)
	if !dotted {
		n--
	}
	out := event.AppendMapHeader(nil, n)
	for _, f := range fields {
		if f.path == head {
			if !dotted {
				continue
			}
			f.val = remove(f.val, rest)
		}
		out = event.AppendString(out, f.path)
		out = append(out, f.val...)
	}
	return out
}
