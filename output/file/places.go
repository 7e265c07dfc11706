package file

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/timefmt"
)

// places finds the file of a record.
type places struct {
	path, file pattern
	fallback   string // "" for none

	onMissing, onLimit string
	limit              int // 0 for none
	known              map[string]bool
}

// pattern is one part of a place: fixed text, or made of a record.
type pattern struct {
	text    string
	layout  *timefmt.Format // nil if the text has no placeholders of strftime
	fields  bool            // the text has record accessors
	tmpl    *event.Template // of made
	made    string          // the text after the placeholders were last filled
	scratch []byte
}

func newPlaces(c *Config) (*places, error) {
	p := &places{onMissing: c.OnMissingField, onLimit: c.OnLimitReached, limit: c.MaxDynamicFiles, known: map[string]bool{}}
	if c.MaxDynamicFiles < 0 {
		return nil, fmt.Errorf("max_dynamic_files is %d; it must be 0 or more", c.MaxDynamicFiles)
	}
	if strings.HasPrefix(c.Path, "$") {
		return nil, errors.New("path must begin with something fixed before its first record accessor")
	}
	var err error
	if p.path, err = newPattern(c.Path, c.EnableStrftime); err != nil {
		return nil, fmt.Errorf("option path: %w", err)
	}
	if p.file, err = newPattern(c.File, c.EnableStrftime); err != nil {
		return nil, fmt.Errorf("option file: %w", err)
	}
	if c.FallbackFile != "" {
		p.fallback = join(c.FallbackPath, c.FallbackFile)
	}
	if p.fallback == "" && (p.dynamic() || c.OnMissingField == actionFallback || c.OnLimitReached == actionFallback) {
		return nil, errors.New("fallback_file is required where path or file depends on the record")
	}
	return p, nil
}

func newPattern(text string, strftime bool) (p pattern, err error) {
	p = pattern{text: text, fields: strings.Contains(text, "$")}
	if strftime && strings.Contains(text, "%") {
		var err error
		if p.layout, err = timefmt.CompileFormat(text, timefmt.Extensions{}); err != nil {
			return p, err
		}
	}
	if p.fields && p.layout == nil {
		var err error
		if p.tmpl, err = event.ParseTemplate(text); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *pattern) dynamic() bool { return p.fields || p.layout != nil }

// fill returns the text for a record; false if the record lacks something.
func (p *pattern) fill(tag string, cur *event.Cursor) (string, bool) {
	text := p.text
	if p.layout != nil {
		p.scratch = p.layout.Append(p.scratch[:0], cur.Time, time.UTC)
		if string(p.scratch) != p.made {
			p.made = string(p.scratch)
			if p.fields {
				var err error
				if p.tmpl, err = event.ParseTemplate(p.made); err != nil {
					p.made = ""
					return "", false
				}
			}
		}
		text = p.made
	}
	if p.fields {
		var ok bool
		if p.scratch, ok = p.tmpl.Append(p.scratch[:0], tag, cur.Record); !ok {
			return "", false
		}
		text = string(p.scratch)
	}
	return text, text != ""
}

// dynamic tells whether the place depends on the record.
func (p *places) dynamic() bool { return p.path.dynamic() || p.file.dynamic() }

// ofTag returns the file of all records of a tag. Metrics of a dynamic place
// go to the fallback, because they have no fields.
func (p *places) ofTag(tag string) string {
	if p.dynamic() {
		return p.fallback
	}
	file := p.file.text
	if file == "" {
		file = safeName(tag)
	}
	return join(p.path.text, file)
}

// verdict is what becomes of a record.
type verdict uint8

const (
	write verdict = iota
	drop
	refuse
)

// of returns the file of a record and, unless it is to be written there, why
// not.
func (p *places) of(tag string, cur *event.Cursor) (string, verdict, string) {
	var ok bool
	path := p.path.text
	if p.path.dynamic() {
		if path, ok = p.path.fill(tag, cur); !ok {
			return p.instead(p.onMissing, "path_field_missing")
		}
	}
	file := p.file.text
	if p.file.dynamic() {
		if file, ok = p.file.fill(tag, cur); !ok {
			return p.instead(p.onMissing, "file_field_missing")
		}
	} else if file == "" {
		file = safeName(tag)
	}
	if p.path.dynamic() && !safePath(path) || p.file.dynamic() && !safeFile(file) {
		return p.instead(p.onMissing, "unsafe_path")
	}
	place := join(path, file)
	if p.limit > 0 && !p.known[place] {
		if len(p.known) >= p.limit {
			return p.instead(p.onLimit, "too_many_files")
		}
		p.known[place] = true
	}
	return place, write, ""
}

// instead applies the action for a record without a place of its own.
func (p *places) instead(action, reason string) (string, verdict, string) {
	switch action {
	case actionDrop:
		return "", drop, reason
	case actionFallback:
		return p.fallback, write, reason
	}
	return "", refuse, reason
}

func join(path, file string) string {
	if path == "" {
		return file
	}
	return path + string(filepath.Separator) + file
}

// safeName makes a relative path of a tag that cannot leave the folder: every
// part consists of letters, digits and -_. only, and "." and ".." become "_".
func safeName(tag string) string {
	var out []byte
	for part := range strings.FieldsFuncSeq(tag, func(r rune) bool { return r == '/' || r == '\\' }) {
		if len(out) > 0 {
			out = append(out, filepath.Separator)
		}
		if part == "." || part == ".." {
			out = append(out, '_')
			continue
		}
		for i := range len(part) {
			c := part[i]
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
				out = append(out, c)
			} else {
				out = append(out, '_')
			}
		}
	}
	if len(out) == 0 {
		return "_"
	}
	return string(out)
}

// safePath tells whether a path that was made of a record stays where its
// fixed start says.
func safePath(path string) bool {
	for i := range len(path) {
		if path[i] < 0x20 || path[i] == 0x7f {
			return false
		}
	}
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == "." || part == ".." {
			return false
		}
	}
	return path != ""
}

// safeFile tells whether a name that was made of a record is a single name, on
// any system.
func safeFile(file string) bool {
	if file == "" || file == "." || file == ".." || strings.ContainsAny(file, `/\:*?"<>|`) {
		return false
	}
	return safePath(file)
}
