package geoip2

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/event"
)

// field is one that is added.
type field struct {
	key    event.Value
	lookup string
	path   path

	of    int // index of the lookup, -1 for none
	index int // of the path there
}

// path leads to a value in the database. A part that is a number is the index in
// an array, from its end if negative, or a key of that name.
type path struct {
	parts []any // numbers are int
	names []any // numbers are string; nil if there are none
}

// maxParts is how many parts Fluent Bit splits a path into.
const maxParts = 9

// parseField reads a key, a lookup_key and %{path}.
func parseField(text string, log *slog.Logger) (field, error) {
	var words [3]string
	rest := text
	for i := range words {
		rest = strings.TrimLeft(rest, " ")
		if i < 2 {
			words[i], rest, _ = strings.Cut(rest, " ")
		} else {
			words[i] = rest
		}
	}
	value := words[2]
	if value == "" {
		return field{}, fmt.Errorf("record %q is not a key, a lookup_key and a path such as %%{country.iso_code}", text)
	}
	inner, _, ok := strings.Cut(value, "}")
	if !ok || len(inner) < 2 {
		return field{}, fmt.Errorf("record %q: %q is not a path such as %%{country.iso_code}", text, value)
	}
	if !strings.HasPrefix(inner, "%{") {
		log.Warn("the path of a record does not begin with %{; as in Fluent Bit its first two characters are left out", "record", text)
	}
	return field{key: event.AppendString(nil, words[0]), lookup: words[1], path: parsePath(inner[2:])}, nil
}

func parsePath(s string) path {
	var p path
	numbers := false
	for s != "" {
		part, rest, _ := strings.Cut(s, ".")
		if len(p.parts) == maxParts-1 {
			part, rest = s, ""
		}
		if s = rest; part == "" {
			continue
		}
		p.names = append(p.names, part)
		if n, err := strconv.Atoi(part); err == nil {
			numbers = true
			p.parts = append(p.parts, n)
		} else {
			p.parts = append(p.parts, part)
		}
	}
	if !numbers {
		p.names = nil
	}
	return p
}
