package parser

import (
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/option"
)

// Spec is the options of a [PARSER] section.
type Spec struct {
	Name            string
	Format          string
	Regex           string
	SkipEmptyValues bool

	TimeKey            string
	TimeFormat         string
	TimeKeep           bool
	TimeStrict         bool
	TimeOffset         string
	TimeZone           string
	TimeSystemTimezone bool

	Types            string
	Decoders         []DecoderSpec
	LogfmtNoBareKeys bool
}

// DecoderSpec is one Decode_Field or Decode_Field_As line.
type DecoderSpec struct {
	As    bool     // Decode_Field_As
	Words []string // what stands behind the option, such as json, log
	Pos   option.Pos
}

// Fields binds the options to s and resets it to the defaults.
func (s *Spec) Fields() []option.Field {
	*s = Spec{}
	return []option.Field{
		option.String(&s.Name, "name", "", "Name that inputs and filters refer to.").WithRequired(),
		option.String(&s.Format, "format", "", "Syntax of the text: "+strings.Join(formatNames(), ", ")+".").WithRequired(),
		option.String(&s.Regex, "regex", "", "Regular expression in Ruby syntax; its named groups become fields. Format regex only."),
		truth(&s.SkipEmptyValues, "skip_empty_values", true, "Leave out fields with an empty value. Format regex only."),
		option.String(&s.TimeKey, "time_key", "", "Field that holds the time, `time` if not given."),
		option.String(&s.TimeFormat, "time_format", "", "Layout of the time as in strptime(3), with `%L` for fractions of a second. Without it no time is read."),
		truth(&s.TimeKeep, "time_keep", false, "Keep the time field in the record."),
		truth(&s.TimeStrict, "time_strict", true, "Refuse a time that does not fit the layout to its end."),
		option.String(&s.TimeOffset, "time_offset", "", "Offset from UTC, such as `-0600`, of times without a zone."),
		option.String(&s.TimeZone, "time_zone", "", "IANA zone, such as `Europe/Berlin`, of times without a zone."),
		truth(&s.TimeSystemTimezone, "time_system_timezone", false, "Take times to be in the zone of the system."),
		option.String(&s.Types, "types", "", "Types of fields, as `key:type` separated by blanks; type is string, integer, float, bool or hex. Not for format json."),
		s.decoders("decode_field", false, "Decode a field and keep its text: the decoder (json, escaped, escaped_utf8, mysql_quoted), the field, and try_next or do_next."),
		s.decoders("decode_field_as", true, "Decode a field and replace its text; like decode_field."),
		truth(&s.LogfmtNoBareKeys, "logfmt_no_bare_keys", false, "Refuse keys without a value. Format logfmt only."),
	}
}

// truth is a boolean that counts as true when its text is none, as in the
// [PARSER] sections of Fluent Bit.
func truth(p *bool, name string, def bool, doc string) option.Field {
	*p = def
	return option.Custom(name, option.TypeBool, fmt.Sprint(def), doc, func(v option.Value) error {
		if v.Shape != option.Scalar {
			return fmt.Errorf("%s was given where a single value is expected", v.Shape)
		}
		b, err := option.ParseBool(v.Text)
		if err != nil {
			*p = true
			return option.Lenient("%v; it counts as true", err)
		}
		*p = b
		return nil
	})
}

func (s *Spec) decoders(name string, as bool, doc string) option.Field {
	return option.Custom(name, option.TypeWords, "", doc, func(v option.Value) error {
		texts := []option.Value{v}
		if v.Shape == option.List {
			texts = v.Items
		}
		for _, t := range texts {
			if t.Shape != option.Scalar {
				return fmt.Errorf("%s was given where text is expected", t.Shape)
			}
			s.Decoders = append(s.Decoders, DecoderSpec{As: as, Words: option.SplitWords(t.Text, 0), Pos: t.Pos})
		}
		return nil
	}).WithRepeat()
}

// decode stores props in s. It is as lenient as Fluent Bit is in [PARSER]
// sections: an unknown option and one without a value are ignored, and of an
// option given twice the first counts. It warns about each.
func (s *Spec) decode(name string, props []option.Property, pos option.Pos) option.Problems {
	fields := s.Fields()
	var known []option.Property
	var ps option.Problems
	section := "parser"
	warn := func(p option.Property, fix, format string, args ...any) {
		ps = append(ps, option.Problem{Severity: option.Warning, Pos: p.Pos, Section: section, Key: p.Key,
			Message: fmt.Sprintf(format, args...), Fix: fix})
	}
	for _, p := range props {
		if strings.EqualFold(p.Key, "name") && p.Value.Text != "" && name == "" {
			name = p.Value.Text
		}
	}
	if name != "" {
		section = "parser " + name
	}
	seen := map[string]bool{}
	for _, p := range props {
		f := fieldOf(fields, p.Key)
		key := strings.ToLower(p.Key)
		switch {
		case f == nil:
			var names []string
			for _, f := range fields {
				names = append(names, f.Name)
			}
			warn(p, option.DidYouMean(p.Key, names), "unknown option %q is ignored", p.Key)
		case p.Value.Shape == option.Scalar && p.Value.Text == "":
			warn(p, "", "option %q has no value and is ignored", p.Key)
		case seen[key] && !f.Repeatable:
			warn(p, "", "option %q is given more than once; the first one counts", p.Key)
		default:
			seen[key] = true
			known = append(known, p)
		}
	}
	if !seen["name"] && name != "" {
		known = append(known, option.Prop("name", name))
	}
	return append(ps, option.Decode(fields, known, section, pos)...)
}

func fieldOf(fields []option.Field, key string) *option.Field {
	for i := range fields {
		if strings.EqualFold(fields[i].Name, key) {
			return &fields[i]
		}
	}
	return nil
}
