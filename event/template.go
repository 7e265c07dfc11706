package event

import (
	"fmt"
	"strconv"
	"strings"
)

// Template is text with values of the record, the tag and captures of a regular
// expression in it:
//
//	app.$TAG[1].$kubernetes['namespace_name']  by.$level  $1.new
//
// It is read-only and safe for concurrent use.
type Template struct {
	pattern string
	parts   []templatePart
}

type templatePart struct {
	kind partKind
	text string    // Of partText.
	key  *Accessor // Of partKey.
	n    int       // Of partTagPart and partCapture.
}

type partKind uint8

const (
	partText partKind = iota
	partKey
	partTag     // The tag.
	partTagPart // A part of the tag, between dots.
	partCapture // A capture of a regular expression.
)

// ParseTemplate reads a template. These have a meaning in it:
//
//	$name  $name['key'][0]   a value of the record, see [ParseAccessor]
//	$TAG                     the tag
//	$TAG[n]                  the part n of the tag, from 0, split at dots
//	$0 to $9                 a capture
//
// A path ends at a dot, space, comma or quotation mark, unless it is in the
// quotes of a key; so text that follows a path must begin with one of these.
//
// Oddities of Fluent Bit are kept, because tags and names depend on them: a
// single dot, space, comma or quotation mark behind a path at the end of the
// text is left out, so is a $ at the end, and a $ that follows $TAG or $TAG[n]
// directly is only text.
func ParseTemplate(s string) (*Template, error) {
	t := &Template{pattern: s}
	addText := func(from, to int) {
		if from < to {
			t.parts = append(t.parts, templatePart{text: s[from:to]})
		}
	}
	// pre is where text that is not in parts yet starts, end is where the last
	// path ended.
	i, pre, end := 0, 0, 0
	for ; i < len(s); i++ {
		if s[i] != '$' {
			continue
		}
		addText(pre, i)
		pre = i
		name := s[i+1:]
		if name == "" {
			break
		}
		switch {
		case isDigit(name[0]):
			t.parts = append(t.parts, templatePart{kind: partCapture, n: parseIndex(name)})
			i++
			pre = i + 1
		case strings.HasPrefix(name, "TAG[") && len(name) > 4:
			t.parts = append(t.parts, templatePart{kind: partTagPart, n: parseIndex(name[4:])})
			end = strings.IndexByte(name[3:], ']')
			i += 4 + end + 1
			pre = i
		case strings.HasPrefix(name, "TAG"):
			t.parts = append(t.parts, templatePart{kind: partTag})
			i += 4
			pre = i
		default:
			end = pathEnd(s, i+1)
			key, err := parsePath(s[i:end])
			if err != nil {
				return nil, fmt.Errorf("parse record accessor %q: %w", s, err)
			}
			key.rest = s[end:]
			t.parts = append(t.parts, templatePart{kind: partKey, key: key})
			pre, i = end, end
		}
	}
	if i-1 > end && pre < i || i == 1 {
		addText(pre, len(s))
	}
	return t, nil
}

// pathEnd returns the offset behind the path at offset i.
func pathEnd(s string, i int) int {
	quoted := false
	for ; i < len(s); i++ {
		switch s[i] {
		case '\'':
			quoted = !quoted
		case '.', ' ', ',', '"':
			if !quoted {
				return i
			}
		}
	}
	return i
}

// String returns the text the template was made from.
func (t *Template) String() string { return t.pattern }

// Static reports whether the result depends on nothing but the tag.
func (t *Template) Static() bool {
	for i := range t.parts {
		if k := t.parts[i].kind; k == partKey || k == partCapture {
			return false
		}
	}
	return true
}

// Accessors returns the paths in the template, in order.
func (t *Template) Accessors() []*Accessor {
	var all []*Accessor
	for i := range t.parts {
		if key := t.parts[i].key; key != nil {
			all = append(all, key)
		}
	}
	return all
}

// TemplateArgs is what a template is filled in with.
type TemplateArgs struct {
	Tag string
	// Lookup returns the value of a top-level key of the record; nil: none has one.
	Lookup func(key string) (Value, bool)
	// Capture returns a capture of a regular expression by its number; nil: all
	// are empty.
	Capture func(n int) []byte
}

// Append appends the template filled in with tag and rec, a packed map.
//
// Strings are written as they are, numbers as decimals (floats with six
// digits), nil as null, binary values in hexadecimal, maps as JSON. A missing
// key, and an array or an extension value, is written as nothing and makes the
// result false. A missing part of the tag is written as nothing too, but may be
// missing.
func (t *Template) Append(dst []byte, tag string, rec Value) ([]byte, bool) {
	return t.AppendWith(dst, TemplateArgs{Tag: tag, Lookup: rec.Get})
}

// AppendWith is [Template.Append] with captures, and for records in any form.
func (t *Template) AppendWith(dst []byte, args TemplateArgs) ([]byte, bool) {
	all := true
	for i := range t.parts {
		p := &t.parts[i]
		switch p.kind {
		case partText:
			dst = append(dst, p.text...)
		case partTag:
			dst = append(dst, args.Tag...)
		case partTagPart:
			dst = append(dst, tagPart(args.Tag, p.n)...)
		case partCapture:
			if args.Capture != nil {
				dst = append(dst, args.Capture(p.n)...)
			}
		case partKey:
			ok := false
			if args.Lookup != nil {
				var v Value
				if v, ok = p.key.LookupIn(args.Lookup); ok {
					dst, ok = AppendPlain(dst, v)
				}
			}
			all = all && ok
		}
	}
	return dst, all
}

// AppendPlain appends v the way it is filled into a template, see
// [Template.Append]. It returns false, and dst as it was, for arrays and
// extension values.
func AppendPlain(dst []byte, v Value) ([]byte, bool) {
	switch v.Kind() {
	case KindString:
		s, _ := v.Str()
		return append(dst, s...), true
	case KindInt:
		i, _ := v.Int()
		return strconv.AppendInt(dst, i, 10), true
	case KindUint:
		u, _ := v.Uint()
		return strconv.AppendUint(dst, u, 10), true
	case KindFloat:
		f, _ := v.Float()
		return appendFixed(dst, f), true
	case KindBool:
		b, _ := v.Bool()
		return strconv.AppendBool(dst, b), true
	case KindNil:
		return append(dst, "null"...), true
	case KindBinary:
		s, _ := v.Str()
		for _, c := range s {
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		}
		return dst, true
	case KindMap:
		return AppendValueJSON(dst, v, JSONOptions{EscapeUnicode: true}), true
	}
	return dst, false
}

// tagPart returns the part n of tag, split at dots; nothing if there are not so
// many. A dot at the end has no part behind it.
func tagPart(tag string, n int) string {
	for ; n >= 0 && tag != ""; n-- {
		part, rest, _ := strings.Cut(tag, ".")
		if n == 0 {
			return part
		}
		tag = rest
	}
	return ""
}
