// Package file is the output file: it appends records to files, one for each
// tag or one for all, and can rotate them.
//
// The file of a chunk is opened, written with one call and closed again, so
// that files can be renamed or removed at any time. A write that fails half way
// is taken back before the chunk is sent again, so that no record stands in the
// file twice or in halves. Nothing is kept open, and one lock per output orders
// its workers.
package file

import (
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the output.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindOutput,
		Name:    "file",
		Summary: "Appends records to files",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
		Metrics: true,
	}
}

// Config is the options of the output.
type Config struct {
	Path string
	File string

	Format         string
	Delimiter      string // "" for that of the format
	LabelDelimiter string
	Template       string
	CSVColumnNames bool

	Mkdir bool

	EnableStrftime  bool
	MaxDynamicFiles int
	OnMissingField  string
	OnLimitReached  string
	FallbackPath    string
	FallbackFile    string

	Rotate         bool
	RotateMaxSize  int64
	RotateMaxFiles int
	RotateGzip     bool
}

// The formats.
const (
	formatOutFile  = "out_file"
	formatPlain    = "plain"
	formatCSV      = "csv"
	formatLTSV     = "ltsv"
	formatTemplate = "template"
	formatMsgpack  = "msgpack"
)

// What to do with records that have no place.
const (
	actionError    = "error"
	actionDrop     = "drop"
	actionFallback = "fallback"
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	actions := []string{actionError, actionDrop, actionFallback}
	return []option.Field{
		option.String(&c.Path, "path", "",
			"Folder of the files. It may hold record accessors such as `$app` after a fixed start."),
		option.String(&c.File, "file", "",
			"Name of the file; without it the tag, made safe for a name. It may hold record accessors."),
		option.Enum(&c.Format, "format", formatOutFile,
			[]string{formatOutFile, formatPlain, formatCSV, formatLTSV, formatTemplate, formatMsgpack},
			"Form of the lines: `out_file` is `tag: [time, {record}]`, `plain` the record as JSON."),
		delimiterField(&c.Delimiter, "delimiter",
			"What stands between values in csv and ltsv: one of the words `tab` (also `\\t`), `space` and `comma`. Others are ignored, as in Fluent Bit."),
		delimiterField(&c.LabelDelimiter, "label_delimiter",
			"What stands between key and value in ltsv; the same words."),
		option.String(&c.Template, "template", "{time} {message}",
			"Text of a line in the format template. `{key}` stands for a value of the record, `{time}` for the time; keys that the record does not have stay as they are."),
		option.Bool(&c.CSVColumnNames, "csv_column_names", false,
			"Begin a new file in the format csv with a line of the keys of its first record."),
		option.Bool(&c.Mkdir, "mkdir", false,
			"Make missing folders, with permissions 0755."),
		option.Bool(&c.EnableStrftime, "enable_strftime", false,
			"Fill the placeholders of strftime in path and file with the time of the record, in UTC."),
		option.Int(&c.MaxDynamicFiles, "max_dynamic_files", 1024,
			"How many different files may come of record accessors and placeholders; 0 means any number."),
		option.Enum(&c.OnMissingField, "on_missing_field", actionError, actions,
			"What happens to a record of which path and file cannot be made: `error` refuses it, `drop` drops it, `fallback` writes it to the fallback file."),
		option.Enum(&c.OnLimitReached, "on_limit_reached", actionError, actions,
			"What happens to a record for a new file beyond max_dynamic_files."),
		option.String(&c.FallbackPath, "fallback_path", "",
			"Folder of the fallback file."),
		option.String(&c.FallbackFile, "fallback_file", "",
			"Name of the fallback file. It is required where path or file depends on the record."),
		option.Bool(&c.Rotate, "rotate", false,
			"Rename a file that has reached rotate_max_size and begin a new one."),
		option.Size(&c.RotateMaxSize, "rotate_max_size", "100M",
			"Size at which a file is rotated."),
		option.Int(&c.RotateMaxFiles, "rotate_max_files", 7,
			"How many rotated files are kept of each file."),
		option.Bool(&c.RotateGzip, "rotate_gzip", true,
			"Compress rotated files."),
	}
}

// delimiterField takes the words that Fluent Bit knows.
func delimiterField(p *string, name, doc string) option.Field {
	*p = ""
	return option.Custom(name, option.TypeString, "", doc, func(v option.Value) error {
		switch strings.ToLower(v.Text) {
		case "tab", `\t`:
			*p = "\t"
		case "space":
			*p = " "
		case "comma":
			*p = ","
		default:
			return option.Lenient("%q is not one of the words tab, space and comma and is ignored", v.Text)
		}
		return nil
	})
}

// New makes the output.
func (c *Config) New(env *plugin.Env) (plugin.Output, error) {
	o := &Output{
		log:    env.Log,
		stats:  env.Stats,
		json:   event.JSONOptions{EscapeUnicode: env.Service.EscapeUnicode},
		format: c.Format,
		mkdir:  c.Mkdir,
		header: c.CSVColumnNames && c.Format == formatCSV,
	}
	switch c.Format {
	case formatCSV:
		o.delimiter = ","
	case formatLTSV:
		o.delimiter, o.labelDelimiter = "\t", ":"
	case formatTemplate:
		o.template = parseTemplate(c.Template)
	}
	if c.Delimiter != "" {
		o.delimiter = c.Delimiter
	}
	if c.LabelDelimiter != "" {
		o.labelDelimiter = c.LabelDelimiter
	}
	if c.Rotate {
		if c.RotateMaxSize <= 0 {
			return nil, option.At("rotate_max_size", errors.New("rotate_max_size must be more than zero"))
		}
		if c.RotateMaxFiles < 1 {
			return nil, option.At("rotate_max_files", fmt.Errorf("rotate_max_files is %d; it must be 1 or more", c.RotateMaxFiles))
		}
		o.rotation = &rotation{log: env.Log, maxSize: c.RotateMaxSize, maxFiles: c.RotateMaxFiles, gzip: c.RotateGzip}
	}
	var err error
	if o.places, err = newPlaces(c); err != nil {
		return nil, err
	}
	return o, nil
}

// Output appends to files.
type Output struct {
	log   *slog.Logger
	stats *plugin.Stats
	json  event.JSONOptions

	format         string
	delimiter      string
	labelDelimiter string
	template       []templatePart
	header         bool
	mkdir          bool

	mu       sync.Mutex
	places   *places
	rotation *rotation // nil without
	buf      []byte    // of the chunk being formatted
}
