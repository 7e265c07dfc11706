package tail

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the plugin.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "tail",
		Summary: "Follow text files",
		Doc:     doc,
		Config:  func() plugin.Config { return new(Config) },
	}
}

// Config is the options of one tail input.
type Config struct {
	Path        []string
	ExcludePath []string
	Key         string
	PathKey     string
	OffsetKey   string
	TagRegex    string
	Parser      string

	ReadFromHead          bool
	ReadNewFromHead       bool
	RefreshInterval       time.Duration
	WatcherInterval       time.Duration
	ProgressCheckInterval time.Duration
	ProgressCheckNsec     int
	RotateWait            time.Duration
	IgnoreOlder           time.Duration
	IgnoreActiveOlder     bool
	InotifyWatcher        bool
	FileCacheAdvise       bool
	ExitOnEOF             bool

	BufferChunkSize   int64
	BufferMaxSize     int64
	StaticBatchSize   int64
	EventBatchSize    int64
	SkipLongLines     bool
	TruncateLongLines bool
	SkipEmptyLines    bool
	UnicodeEncoding   string
	GenericEncoding   string
	WindowsEncoding   string

	DB                string
	DBSync            string
	DBLocking         bool
	DBJournalMode     string
	DBCompareFilename bool

	Multiline        bool
	MultilineFlush   time.Duration
	ParserFirstline  string
	ParserN          []string
	MultilineParser  []string
	DockerMode       bool
	DockerModeFlush  int
	DockerModeParser string
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		option.Strings(&c.Path, "path", "", "Files to read: one or more patterns with `*`, `?` and `[…]`, separated by commas.").WithRequired(),
		option.Strings(&c.ExcludePath, "exclude_path", "", "Patterns of files that are left out, separated by commas. They are compared with the whole path; `*` matches `/` too."),
		option.String(&c.Key, "key", "log", "Key of the line in records that no parser made."),
		option.String(&c.PathKey, "path_key", "", "Key under which the path of the file is added."),
		option.String(&c.OffsetKey, "offset_key", "", "Key under which the offset of the line in the file is added, in bytes."),
		option.String(&c.TagRegex, "tag_regex", "", "Regular expression for the path; `<name>` in Tag becomes what its group of that name matched. A file that does not match is not read."),
		option.String(&c.Parser, "parser", "", "Parser for the lines. A line that does not fit stays text."),

		option.Bool(&c.ReadFromHead, "read_from_head", false, "Read files that are there at the start from their head rather than from their end, if no offset is known."),
		option.Bool(&c.ReadNewFromHead, "read_newly_discovered_files_from_head", true, "Read files that appear later from their head."),
		option.Seconds(&c.RefreshInterval, "refresh_interval", "60", "Time between two looks for new files. Where directories can be watched, new files are seen at once."),
		option.Seconds(&c.WatcherInterval, "watcher_interval", "2s", "Time between two looks whether the name of a file leads to another one now."),
		option.Seconds(&c.ProgressCheckInterval, "progress_check_interval", "2s", "Time between two looks at the size of files that are watched, in case a notification was missed."),
		option.Int(&c.ProgressCheckNsec, "progress_check_interval_nsec", 0, "Nanoseconds to be added to progress_check_interval.").WithUnit("nanoseconds"),
		option.Seconds(&c.RotateWait, "rotate_wait", "5", "Time for which a file that was rotated away, and is in none of the paths, is still read after it grew last."),
		option.Seconds(&c.IgnoreOlder, "ignore_older", "0", "Leave out files that were not modified for this time; 0 for none. When one is modified after all, what is added is read."),
		option.Bool(&c.IgnoreActiveOlder, "ignore_active_older_files", false, "Apply ignore_older to files that are being read too, once they are read to their end."),
		option.Bool(&c.InotifyWatcher, "inotify_watcher", true, "Let the system notify changes; otherwise files are looked at four times a second."),
		option.Bool(&c.FileCacheAdvise, "file_cache_advise", true, "Tell the system not to cache what was read. Linux only."),
		option.Bool(&c.ExitOnEOF, "exit_on_eof", false, "End the process when all files were read to their end."),

		option.Size(&c.BufferChunkSize, "buffer_chunk_size", "32768", "At most buffer_max_size; otherwise without effect, as buffers grow as needed."),
		option.Size(&c.BufferMaxSize, "buffer_max_size", "32768", "Longest line, with its line end and one byte more. A file with a longer one is given up unless skip_long_lines or truncate_long_lines is on."),
		option.Size(&c.StaticBatchSize, "static_batch_size", "50M", "How much of one file is read at most before it is another's turn, for files that were not read to their end yet."),
		option.Size(&c.EventBatchSize, "event_batch_size", "50M", "Like static_batch_size for files that were read to their end and have grown since."),
		option.Bool(&c.SkipLongLines, "skip_long_lines", false, "Drop lines longer than buffer_max_size rather than giving the file up."),
		option.Bool(&c.TruncateLongLines, "truncate_long_lines", false, "Cut lines longer than buffer_max_size; what is left of them is not parsed."),
		option.Bool(&c.SkipEmptyLines, "skip_empty_lines", false, "Drop empty lines."),
		option.String(&c.UnicodeEncoding, "unicode.encoding", "", "Encoding of the files: UTF-16LE, UTF-16BE, or auto to find it out."),
		option.String(&c.GenericEncoding, "generic.encoding", "", "Encoding of the files: "+strings.Join(genericNames(), ", ")+"."),
		option.String(&c.WindowsEncoding, "windows.path_encoding", "ansi", "ansi or utf-8. Paths are UTF-8 in any case."),

		option.String(&c.DB, "db", "", "SQLite file that keeps the offsets, of the same form as Fluent Bit's."),
		option.String(&c.DBSync, "db.sync", "normal", "How SQLite makes sure that data is on the disk: extra, full, normal or off."),
		option.Bool(&c.DBLocking, "db.locking", false, "Lock the database against other processes."),
		option.String(&c.DBJournalMode, "db.journal_mode", "WAL", "Journal of SQLite: WAL, DELETE, TRUNCATE, PERSIST, MEMORY or OFF. WAL needs a local file system."),
		option.Bool(&c.DBCompareFilename, "db.compare_filename", false, "Use an offset only if the name of the file is the same as well as the inode."),

		option.Bool(&c.Multiline, "multiline", false, "Join lines to messages that begin with a line that parser_firstline matches."),
		option.Seconds(&c.MultilineFlush, "multiline_flush", "4", "Time after which a joined message is complete even without a following one; at least one second."),
		option.String(&c.ParserFirstline, "parser_firstline", "", "Parser that matches the first line of a message."),
		option.Prefixed("parser_", "Further parsers for joined messages: `parser_1`, `parser_2` and so on.", func(_, value string) error {
			c.ParserN = append(c.ParserN, value)
			return nil
		}),
		option.Strings(&c.MultilineParser, "multiline.parser", "", "Multiline parsers, in the order in which they are tried.").WithRepeat(),
		option.Bool(&c.DockerMode, "docker_mode", false, "Join the parts of lines that Docker has split."),
		option.Int(&c.DockerModeFlush, "docker_mode_flush", 4, "Time without a further part after which a joined line is complete.").WithUnit("seconds"),
		option.String(&c.DockerModeParser, "docker_mode_parser", "", "Parser that matches the first line of a message, for docker_mode."),
	}
}

// validate returns everything that is wrong with the options together, and
// puts words into the form that the code compares.
func (c *Config) validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, option.At(key, fmt.Errorf(format, args...)))
	}
	if len(c.Path) == 0 {
		bad("path", "option \"path\" names no file")
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"refresh_interval", c.RefreshInterval}, {"rotate_wait", c.RotateWait}} {
		if d.d <= 0 {
			bad(d.name, "option %q: %v is not a positive time", d.name, d.d)
		}
	}
	if c.BufferChunkSize > c.BufferMaxSize {
		bad("buffer_max_size", "option \"buffer_max_size\": %d is less than buffer_chunk_size, %d", c.BufferMaxSize, c.BufferChunkSize)
	}
	if c.BufferMaxSize > maxBuffer {
		bad("buffer_max_size", "option \"buffer_max_size\": %d is more than %d", c.BufferMaxSize, int64(maxBuffer))
	}
	c.DBJournalMode = strings.ToUpper(c.DBJournalMode)
	if !slices.Contains(journalModes, c.DBJournalMode) {
		bad("db.journal_mode", "option \"db.journal_mode\": %q is not one of %s", c.DBJournalMode, strings.Join(journalModes, ", "))
	}
	if c.UnicodeEncoding != "" && unicodeEncoding(c.UnicodeEncoding) == plainText {
		bad("unicode.encoding", "option \"unicode.encoding\": %q is not one of UTF-16LE, UTF-16BE, auto", c.UnicodeEncoding)
	}
	if c.GenericEncoding != "" && genericEncoding(c.GenericEncoding) == nil {
		bad("generic.encoding", "option \"generic.encoding\": %q is not one of %s", c.GenericEncoding, strings.Join(genericNames(), ", "))
	}
	if c.UnicodeEncoding != "" && c.GenericEncoding != "" {
		bad("generic.encoding", "options \"unicode.encoding\" and \"generic.encoding\" exclude each other")
	}
	if c.Multiline && c.ParserFirstline == "" {
		bad("multiline", "option \"multiline\" needs parser_firstline")
	}
	if c.Multiline && c.DockerMode {
		bad("docker_mode", "options \"multiline\" and \"docker_mode\" exclude each other")
	}
	return errors.Join(errs...)
}

// maxBuffer bounds the memory for one line.
const maxBuffer = 1 << 30

var journalModes = []string{"WAL", "DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF"}

// checkInterval is the time between two looks at a watched file.
func (c *Config) checkInterval() time.Duration {
	d := c.ProgressCheckInterval + time.Duration(c.ProgressCheckNsec)
	if c.WatcherInterval > 0 {
		d = min(d, c.WatcherInterval)
	}
	return max(d, 10*time.Millisecond)
}
