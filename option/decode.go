package option

import (
	"errors"
	"fmt"
)

// Decode stores every property through the field that takes its key and
// returns all problems. section, such as "input tail", goes into the messages;
// pos is where the section starts and is used for missing options.
func Decode(fields []Field, props []Property, section string, pos Pos) Problems {
	var ps Problems
	first := make([]*Property, len(fields))
	for i := range props {
		prop := &props[i]
		report := func(sev Severity, fix, format string, args ...any) {
			at := prop.Value.Pos
			if at == (Pos{}) {
				at = prop.Pos
			}
			ps = append(ps, Problem{Severity: sev, Pos: at, Section: section, Key: prop.Key,
				Message: fmt.Sprintf(format, args...), Fix: fix})
		}
		n := indexOf(fields, prop.Key)
		if n < 0 {
			prop.Value.Pos = prop.Pos
			report(Error, DidYouMean(prop.Key, names(fields)), "unknown option %q", prop.Key)
			continue
		}
		f := fields[n]
		if first[n] != nil && !f.Repeatable {
			report(Error, "", "option %q is given more than once; it was first given at line %d", prop.Key, first[n].Pos.Line)
			continue
		}
		if first[n] == nil {
			first[n] = prop
		}
		if f.Deprecated != "" {
			report(Warning, f.Deprecated, "option %q is deprecated", prop.Key)
		}
		if err := f.set(prop.Key, prop.Value); err != nil {
			sev := Error
			var l *lenient
			if errors.As(err, &l) {
				sev = Warning
			}
			fix := ""
			if f.Type == TypeEnum {
				fix = DidYouMean(prop.Value.Text, f.Allowed)
			}
			report(sev, fix, "option %q: %v", prop.Key, err)
			ps[len(ps)-1].PlaceIn(err)
		}
	}
	for n, f := range fields {
		if f.Required && first[n] == nil {
			ps = append(ps, Problem{Severity: Error, Pos: pos, Section: section, Key: f.Name,
				Message: fmt.Sprintf("option %q is missing", f.Name)})
		}
	}
	return ps
}

// indexOf finds the field that takes key: an exact name before a prefix.
func indexOf(fields []Field, key string) int {
	prefix := -1
	for i, f := range fields {
		if !f.matches(key) {
			continue
		}
		if !f.Prefix {
			return i
		}
		prefix = i
	}
	return prefix
}

func names(fields []Field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.Name)
		out = append(out, f.Aliases...)
	}
	return out
}
