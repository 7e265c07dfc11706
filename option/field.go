package option

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Type is the kind of value that a field takes, as told to users.
type Type string

// The types of fields.
const (
	TypeString  Type = "string"
	TypeBool    Type = "boolean"
	TypeInt     Type = "integer"
	TypeFloat   Type = "number"
	TypeSize    Type = "size"
	TypeSeconds Type = "time"
	TypeEnum    Type = "enum"
	TypeList    Type = "list"  // separated by commas
	TypeWords   Type = "words" // separated by blanks
	TypeMap     Type = "map"   // a nested YAML map
)

// Field is one option. Make it with the functions named after the types and
// refine it with the With methods; a Field is a value and may be copied.
type Field struct {
	Name    string   // as documented, such as "buffer_max_size"; case does not matter
	Aliases []string // other accepted names
	Type    Type
	Default string   // as a user would write it; "" for none
	Unit    string   // such as "bytes"; "" where the type says it all
	Allowed []string // TypeEnum: the words
	Doc     string   // one or more full sentences; Markdown

	Required   bool
	Repeatable bool   // may be given more than once; each adds
	Prefix     bool   // Name is a prefix of the keys that it takes
	Secret     bool   // never printed
	Ours       bool   // not in Fluent Bit
	Deprecated string // what to use instead, or ""

	// set stores v. key is the key as written, which matters for prefixes. A
	// returned *lenient is only warned about.
	set func(key string, v Value) error
}

// lenient wraps what Fluent Bit accepts in silence: the value was stored, and
// the message becomes a warning.
type lenient struct{ err error }

func (l *lenient) Error() string { return l.err.Error() }
func (l *lenient) Unwrap() error { return l.err }

// Lenient makes an error that Decode reports as a warning. A custom field
// returns it after it has stored what Fluent Bit would have stored.
func Lenient(format string, args ...any) error {
	return &lenient{fmt.Errorf(format, args...)}
}

func scalar(set func(s string) error) func(string, Value) error {
	return func(_ string, v Value) error {
		if v.Shape != Scalar {
			return fmt.Errorf("%s was given where a single value is expected", v.Shape)
		}
		return set(v.Text)
	}
}

// String is a field of text.
func String(p *string, name, def, doc string) Field {
	*p = def
	return Field{Name: name, Type: TypeString, Default: def, Doc: doc,
		set: scalar(func(s string) error { *p = s; return nil })}
}

// Secret is a field of text that is never printed.
func Secret(p *string, name, doc string) Field {
	f := String(p, name, "", doc)
	f.Secret = true
	return f
}

// parsed stores what parse returns; after an error the variable keeps what it
// has.
func parsed[T any](p *T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		v, err := parse(s)
		if err == nil {
			*p = v
		}
		return err
	}
}

// Bool is a field of true or false.
func Bool(p *bool, name string, def bool, doc string) Field {
	*p = def
	return Field{Name: name, Type: TypeBool, Default: strconv.FormatBool(def), Doc: doc,
		set: scalar(parsed(p, ParseBool))}
}

// Int is a field of a whole number. Text that is no number counts as its
// leading digits, or 0, with a warning, as in Fluent Bit.
func Int(p *int, name string, def int, doc string) Field {
	*p = def
	return Field{Name: name, Type: TypeInt, Default: strconv.Itoa(def), Doc: doc,
		set: scalar(func(s string) error {
			n, err := strconv.Atoi(strings.TrimSpace(s))
			if err != nil {
				n = int(atoi(s))
				*p = n
				return Lenient("%q is not a whole number and counts as %d", s, n)
			}
			*p = n
			return nil
		})}
}

// Float is a field of a decimal number, as lenient as Int.
func Float(p *float64, name string, def float64, doc string) Field {
	*p = def
	return Field{Name: name, Type: TypeFloat, Default: strconv.FormatFloat(def, 'g', -1, 64), Doc: doc,
		set: scalar(func(s string) error {
			f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
			if err != nil {
				num, _ := leadingNumber(s)
				f, _ = strconv.ParseFloat(num, 64)
				*p = f
				return Lenient("%q is not a number and counts as %g", s, f)
			}
			*p = f
			return nil
		})}
}

// Size is a field of bytes; see ParseSize. def is written as a user would.
func Size(p *int64, name, def, doc string) Field {
	return sizeField(p, name, def, doc, ParseSize)
}

// BinarySize is a field of bytes with units of 1024; see ParseBinarySize.
func BinarySize(p *int64, name, def, doc string) Field {
	return sizeField(p, name, def, doc, ParseBinarySize)
}

func sizeField(p *int64, name, def, doc string, parse func(string) (int64, error)) Field {
	*p = 0
	if def != "" {
		*p = mustDefault(name, def, parse)
	}
	return Field{Name: name, Type: TypeSize, Default: def, Unit: "bytes", Doc: doc,
		set: scalar(parsed(p, parse))}
}

// Seconds is a field of a time span; see ParseSeconds.
func Seconds(p *time.Duration, name, def, doc string) Field {
	*p = 0
	if def != "" {
		*p = mustDefault(name, def, ParseSeconds)
	}
	return Field{Name: name, Type: TypeSeconds, Default: def, Unit: "seconds", Doc: doc,
		set: scalar(func(s string) error {
			d, err := ParseSeconds(s)
			if err != nil {
				*p = wholeSeconds(atoi(s))
				return Lenient("%v; it counts as %v", err, *p)
			}
			*p = d
			return nil
		})}
}

// wholeSeconds is n seconds, or the longest time if they do not fit.
func wholeSeconds(n int64) time.Duration {
	switch most := int64(math.MaxInt64 / time.Second); {
	case n > most:
		return math.MaxInt64
	case n < -most:
		return math.MinInt64
	}
	return time.Duration(n) * time.Second
}

func mustDefault[T any](name, def string, parse func(string) (T, error)) T {
	v, err := parse(def)
	if err != nil {
		panic("BUG: default of option " + name + ": " + err.Error())
	}
	return v
}

// Enum is a field of one of the allowed words, in any case; the variable gets
// the word as it stands in allowed.
func Enum(p *string, name, def string, allowed []string, doc string) Field {
	*p = def
	return Field{Name: name, Type: TypeEnum, Default: def, Allowed: allowed, Doc: doc,
		set: scalar(func(s string) error {
			i := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, s) })
			if i < 0 {
				return fmt.Errorf("%q is not one of %s", s, strings.Join(allowed, ", "))
			}
			*p = allowed[i]
			return nil
		})}
}

// Strings is a field of words separated by commas; in YAML also a list. Given
// more than once, a Repeatable one adds.
func Strings(p *[]string, name, def, doc string) Field {
	*p = SplitComma(def, 0)
	first := true
	return Field{Name: name, Type: TypeList, Default: def, Doc: doc,
		set: func(_ string, v Value) error {
			if first {
				*p, first = nil, false
			}
			return eachScalar(v, func(s string) { *p = append(*p, SplitComma(s, 0)...) })
		}}
}

// Lines is a repeatable field of which every occurrence is kept as one text.
func Lines(p *[]string, name, doc string) Field {
	*p = nil
	return Field{Name: name, Type: TypeString, Repeatable: true, Doc: doc,
		set: func(_ string, v Value) error {
			return eachScalar(v, func(s string) { *p = append(*p, s) })
		}}
}

// Words is a repeatable field of which every occurrence is split at blanks
// into at least least parts; at most split words are split off and what
// follows is the last part. 0 means no limit.
func Words(p *[][]string, name string, least, split int, doc string) Field {
	*p = nil
	return Field{Name: name, Type: TypeWords, Repeatable: true, Doc: doc,
		set: func(_ string, v Value) error {
			var short error
			err := eachScalar(v, func(s string) {
				w := SplitWords(s, split)
				if len(w) < least {
					short = fmt.Errorf("%q has %d words where at least %d are expected", s, len(w), least)
					return
				}
				*p = append(*p, w)
			})
			if err == nil {
				err = short
			}
			return err
		}}
}

// Custom is a field that stores its value itself. set sees lists and maps too;
// what it returns is reported at the place of the value.
func Custom(name string, typ Type, def, doc string, set func(v Value) error) Field {
	return Field{Name: name, Type: typ, Default: def, Doc: doc,
		set: func(_ string, v Value) error { return set(v) }}
}

// Prefixed takes every key that starts with name and is longer; set gets what
// follows the prefix.
func Prefixed(name, doc string, set func(key, value string) error) Field {
	return Field{Name: name, Type: TypeString, Prefix: true, Repeatable: true, Doc: doc,
		set: func(key string, v Value) error {
			if v.Shape != Scalar {
				return fmt.Errorf("%s was given where a single value is expected", v.Shape)
			}
			return set(key[len(name):], v.Text)
		}}
}

// eachScalar calls f for a scalar or for every scalar of a list.
func eachScalar(v Value, f func(string)) error {
	switch v.Shape {
	case Map:
		return fmt.Errorf("a map was given where text or a list is expected")
	case List:
		for _, item := range v.Items {
			if item.Shape != Scalar {
				return fmt.Errorf("%s stands in a list where text is expected", item.Shape)
			}
			f(item.Text)
		}
		return nil
	}
	f(v.Text)
	return nil
}

// WithAliases adds other accepted names.
func (f Field) WithAliases(names ...string) Field {
	f.Aliases = append(slices.Clone(f.Aliases), names...)
	return f
}

// WithRequired says that a configuration without the field is refused.
func (f Field) WithRequired() Field { f.Required = true; return f }

// WithRepeat says that the field may be given more than once.
func (f Field) WithRepeat() Field { f.Repeatable = true; return f }

// WithUnit names the unit of the number.
func (f Field) WithUnit(unit string) Field { f.Unit = unit; return f }

// WithOurs says that Fluent Bit has no such option.
func (f Field) WithOurs() Field { f.Ours = true; return f }

// WithDeprecated says what to use instead.
func (f Field) WithDeprecated(instead string) Field { f.Deprecated = instead; return f }

// WithCheck adds a check that runs after the value was stored, also after one
// that is only warned about.
func (f Field) WithCheck(check func() error) Field {
	set := f.set
	f.set = func(key string, v Value) error {
		err := set(key, v)
		var l *lenient
		if err != nil && !errors.As(err, &l) {
			return err
		}
		if bad := check(); bad != nil {
			return bad
		}
		return err
	}
	return f
}

// WithLenient says that Fluent Bit ignores a bad value in silence: the field
// keeps what it has and the error becomes a warning.
func (f Field) WithLenient() Field {
	set := f.set
	f.set = func(key string, v Value) error {
		if err := set(key, v); err != nil {
			return Lenient("%w; the value is ignored", err)
		}
		return nil
	}
	return f
}

// matches tells whether the field takes key.
func (f Field) matches(key string) bool {
	if f.Prefix {
		return len(key) > len(f.Name) && strings.EqualFold(key[:len(f.Name)], f.Name)
	}
	return strings.EqualFold(key, f.Name) ||
		slices.ContainsFunc(f.Aliases, func(a string) bool { return strings.EqualFold(key, a) })
}
