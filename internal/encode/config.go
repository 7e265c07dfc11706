package encode

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/option"
)

// Format is how events are laid out.
type Format string

// The formats.
const (
	Msgpack    Format = "msgpack"
	JSON       Format = "json"
	JSONLines  Format = "json_lines"
	JSONStream Format = "json_stream"
)

// DateFormat is the form of the time in JSON.
type DateFormat uint8

// The forms of the time: seconds as a decimal number with up to six digits
// after the point, whole seconds, whole milliseconds, and texts in UTC such as
// "2023-11-14T22:13:20.123456Z" and "2023-11-14 22:13:20.123456".
const (
	Double DateFormat = iota
	Epoch
	EpochMillis
	ISO8601
	JavaSQL
)

// dateFormats are the words of json_date_format.
var dateFormats = map[string]DateFormat{
	"double":             Double,
	"epoch":              Epoch,
	"epoch_ms":           EpochMillis,
	"epoch_millis":       EpochMillis,
	"epoch_milliseconds": EpochMillis,
	"iso8601":            ISO8601,
	"java_sql_timestamp": JavaSQL,
}

// Config is the options that choose a format.
type Config struct {
	Format     Format
	DateKey    string // "" for none
	DateFormat DateFormat
}

// Fields binds the options. def is the default format, and further are formats
// that the plugin has beside those of this package.
func (c *Config) Fields(def Format, further ...Format) []option.Field {
	return append(c.DateFields(),
		formatField(&c.Format, def, append([]Format{Msgpack, JSON, JSONLines, JSONStream}, further...)))
}

// DateFields binds the options for the time only.
func (c *Config) DateFields() []option.Field {
	c.DateKey, c.DateFormat = "date", Double
	date := option.Custom("json_date_format", option.TypeString, "double",
		"Form of the time: double (seconds with a fraction), epoch (whole seconds), epoch_ms, iso8601 or java_sql_timestamp.",
		func(v option.Value) error {
			f, ok := dateFormats[strings.ToLower(v.Text)]
			if !ok {
				c.DateFormat = Double
				return option.Lenient("%q is not one of double, epoch, epoch_ms, iso8601, java_sql_timestamp; double is used", v.Text)
			}
			c.DateFormat = f
			return nil
		})
	key := option.Custom("json_date_key", option.TypeString, "date",
		"Key that the event's time is written under, in front of the record. false leaves the time out. A record that has the key itself keeps its own value.",
		func(v option.Value) error {
			if v.Shape != option.Scalar {
				return fmt.Errorf("%s was given where a single value is expected", v.Shape)
			}
			c.DateKey = v.Text
			if off, err := option.ParseBool(v.Text); err == nil && !off {
				c.DateKey = ""
			}
			return nil
		})
	return []option.Field{key, date}
}

// formatField falls back to msgpack for an unknown format, as Fluent Bit does.
func formatField(p *Format, def Format, allowed []Format) option.Field {
	*p = def
	words := make([]string, len(allowed))
	for i, f := range allowed {
		words[i] = string(f)
	}
	return option.Custom("format", option.TypeString, string(def), "Format of the payload: "+strings.Join(words, ", ")+".",
		func(v option.Value) error {
			i := slices.IndexFunc(words, func(w string) bool { return strings.EqualFold(w, v.Text) })
			if i < 0 {
				*p = Msgpack
				return option.Lenient("%q is not one of %s; msgpack is used", v.Text, strings.Join(words, ", "))
			}
			*p = allowed[i]
			return nil
		})
}
