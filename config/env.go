package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/kagarilog/kagari/option"
)

// environment looks up variables: those of the configuration before those of
// the process.
type environment struct {
	vars   map[string]string
	lookup func(name string) (string, bool)
}

func newEnvironment(lookup func(string) (string, bool)) *environment {
	if lookup == nil {
		lookup = os.LookupEnv
	}
	e := &environment{vars: map[string]string{}, lookup: lookup}
	if _, ok := lookup("HOSTNAME"); !ok {
		// Shells know the variable without passing it on.
		if name, err := os.Hostname(); err == nil {
			e.vars["HOSTNAME"] = name
		}
	}
	return e
}

// get returns the value of a variable. An empty variable of the process counts
// as not set.
func (e *environment) get(name string) (string, bool) {
	if v, ok := e.vars[name]; ok {
		return v, true
	}
	v, ok := e.lookup(name)
	return v, ok && v != ""
}

// set stores a variable of the configuration. A value of file://PATH stands
// for the content of the file without its last line end.
func (e *environment) set(name, value string) error {
	if path, ok := strings.CutPrefix(value, "file://"); ok && path != "" {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("variable %q: %w", name, err)
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxFileSize))
		if err != nil {
			return fmt.Errorf("variable %q: %w", name, err)
		}
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
		if len(text) == 0 {
			return fmt.Errorf("variable %q: the file %s is empty", name, path)
		}
		value = string(text)
	}
	e.vars[name] = value
	return nil
}

// expansion is the outcome of expand.
type expansion struct {
	text  string
	unset []string // variables without value or default
	// stuck says that a reference was left as it is, or that text was lost,
	// because of a "}" or "${" that Fluent Bit does not cope with.
	stuck bool
}

// maxVariable is the length from which Fluent Bit does not see a reference.
const maxVariable = 4096

// expand replaces ${NAME} and ${NAME:-default} in s.
//
// It does so exactly as Fluent Bit (src/flb_env.c), of which the search for
// the "}" begins not at the "${" but where the last reference ended: a "}"
// before a "${" ends the work, and so does a "${" without "}". The rest then
// stays as it is if nothing was replaced yet; otherwise the text in front of
// that "}" is lost. The caller warns.
func (e *environment) expand(s string) expansion {
	var out strings.Builder
	var x expansion
	replaced := false
	end := -1 // of the last "}" that was found
	for i := 0; i < len(s); i++ {
		start := strings.Index(s[i:], "${")
		if start < 0 {
			break
		}
		start += i
		end = strings.IndexByte(s[i:], '}')
		if end >= 0 {
			end += i
		}
		if end <= start+2 || end-start-2 >= maxVariable {
			x.stuck = true
			break
		}
		name, def, hasDef := s[start+2:end], "", false
		if n := strings.IndexByte(name, ':'); n >= 0 && strings.HasPrefix(name[n:], ":-") {
			name, def, hasDef = name[:n], name[n+2:], true
		}
		replaced = true
		out.WriteString(s[i:start])
		switch v, ok := e.get(name); {
		case ok && (v != "" || !hasDef):
			out.WriteString(v)
		case hasDef:
			out.WriteString(def)
		default:
			x.unset = append(x.unset, name)
		}
		i = end
	}
	if !replaced {
		x.text = s
		return x
	}
	if end >= 0 {
		out.WriteString(s[end+1:])
	}
	x.text = out.String()
	return x
}

// expanded returns s with its variables replaced and reports what is odd.
func (l *loader) expanded(s string, pos option.Pos) string {
	if !strings.Contains(s, "${") {
		return s
	}
	x := l.env.expand(s)
	for _, name := range x.unset {
		l.warn(pos, "", "the variable ${%s} is not set and counts as empty", name)
	}
	if x.stuck {
		if x.text == s {
			l.warn(pos, "", "a variable in this value is not replaced, because of a \"}\" before it or a missing \"}\" after it")
		} else {
			l.warn(pos, "", "a variable in this value is not replaced and text is lost, because of a \"}\" before it or a missing \"}\" after it")
		}
	}
	return x.text
}
