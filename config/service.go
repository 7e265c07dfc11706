package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kagarilog/kagari/option"
)

// Service is the settings of the whole process, the SERVICE section. Its names
// and defaults are those of Fluent Bit 5.1.1.
type Service struct {
	Flush    time.Duration // more than 0
	Grace    time.Duration // less than 0 waits for ever
	Daemon   bool
	LogLevel string // off, error, warn, info, debug or trace
	LogFile  string

	ParsersFiles []string
	PluginsFiles []string
	StreamsFile  string

	HTTPServer bool
	HTTPListen string
	HTTPPort   string
	HTTPPprof  bool

	HealthCheck         bool
	HCErrorsCount       int
	HCRetryFailureCount int
	HCPeriod            time.Duration
	ReadyMaxAge         time.Duration // 0: not looked at

	HotReload                   bool
	HotReloadEnsureThreadSafety bool
	HotReloadTimeout            time.Duration

	Storage StorageService

	SchedulerCap  time.Duration
	SchedulerBase time.Duration

	DNSMode       string
	DNSResolver   string
	DNSPreferIPv4 bool
	DNSPreferIPv6 bool

	EscapeUnicode        bool // json.escape_unicode
	ConvertNaNToNull     bool // json.convert_nan_to_null
	MultilineBufferLimit int64
	StringsToNumbers     bool // sp.convert_from_str_to_num
	FIPSMode             bool
	EnableChunkTrace     bool
	CoroStackSize        int

	AdaptiveFlush AdaptiveFlush
	Telemetry     Telemetry
}

// StorageService is the settings of the buffers.
type StorageService struct {
	Path            string
	Sync            string // normal or full
	Checksum        bool
	Metrics         bool
	BacklogMemLimit int64
	FlushOnShutdown bool
	MaxChunksUp     int
	DeleteBadChunks bool
	TrimFiles       bool
	Type            string // of inputs that give none, if Inherit is set
	Inherit         bool
	KeepRejected    bool
	KeepUndelivered bool
	RejectedPath    string
	RejectedLimit   int64 // 0 for none
}

// AdaptiveFlush is the settings of a flush interval that follows the load.
type AdaptiveFlush struct {
	Enabled   bool
	Min, Max  time.Duration
	Low       float64 // percent of pressure
	Medium    float64
	High      float64
	UpSteps   int
	DownSteps int
}

// Telemetry is the nested block of that name: whether records are counted by
// tag.
type Telemetry struct {
	TagRecords   bool
	MaxSeries    int
	MaxTagLength int
}

var logLevels = []string{"off", "error", "warn", "warning", "info", "debug", "trace"}

// logLevelField takes a log level; the variable gets "warn" for "warning".
func logLevelField(p *string, def, doc string) option.Field {
	f := option.Enum(p, "log_level", def, logLevels, doc)
	return f.WithCheck(func() error {
		if *p == "warning" {
			*p = "warn"
		}
		return nil
	})
}

// spanField is a time in seconds that may have decimals; like C's atof it
// takes the number at the beginning of the text.
func spanField(p *time.Duration, name string, def float64, doc string) option.Field {
	*p = seconds(def)
	return option.Custom(name, option.TypeSeconds, strconv.FormatFloat(def, 'g', -1, 64), doc, func(v option.Value) error {
		if v.Shape != option.Scalar {
			return fmt.Errorf("%s was given where a number is expected", v.Shape)
		}
		f, all := leadingFloat(v.Text)
		*p = seconds(f)
		if !all {
			return option.Lenient("%q is not a number of seconds and counts as %g", v.Text, f)
		}
		return nil
	}).WithUnit("seconds")
}

// leadingFloat reads the number that s begins with, 0 if there is none, and
// tells whether that is all of s.
func leadingFloat(s string) (f float64, all bool) {
	for n := min(len(s), 64); n > 0; n-- {
		if v, err := strconv.ParseFloat(s[:n], 64); err == nil && s[0] != '_' && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v, n == len(s)
		}
	}
	return 0, false
}

func seconds(v float64) time.Duration {
	if d := v * float64(time.Second); math.Abs(d) < math.MaxInt64 {
		return time.Duration(d)
	}
	return math.MaxInt64
}

// Fields binds the settings and resets them to their defaults.
func (s *Service) Fields() []option.Field {
	*s = Service{}
	st, af := &s.Storage, &s.AdaptiveFlush
	fields := []option.Field{
		spanField(&s.Flush, "flush", 1, "The time between two deliveries. It may have decimals and must be more than 0."),
		spanField(&s.Grace, "grace", 5, "How long to deliver what is left at the end. -1 waits for ever."),
		option.Bool(&s.Daemon, "daemon", false, "Run in the background.").WithLenient(),
		logLevelField(&s.LogLevel, "info", "Which messages to write. The variable FLB_LOG_LEVEL wins over it."),
		option.String(&s.LogFile, "log_file", "", "The file that messages go to instead of standard error."),
		option.Lines(&s.ParsersFiles, "parsers_file", "A file of parsers and multiline parsers. Relative paths are looked for in the working directory and then beside the main file."),
		option.Lines(&s.PluginsFiles, "plugins_file", "A file that names external plugins. They are not loaded; those of the AWS image are built in."),
		option.String(&s.StreamsFile, "streams_file", "", "A file of stream tasks."),
		option.Bool(&s.HTTPServer, "http_server", false, "Answer HTTP requests for metrics, health and control.").WithLenient(),
		option.String(&s.HTTPListen, "http_listen", "0.0.0.0", "The address of the HTTP server."),
		option.String(&s.HTTPPort, "http_port", "2020", "The port of the HTTP server."),
		option.Bool(&s.HTTPPprof, "http_pprof", false, "Serve profiles of the process under /debug/pprof/ of the HTTP server.").WithLenient().WithOurs(),
		option.Bool(&s.HealthCheck, "health_check", false, "Let /api/v1/health report failures.").WithLenient(),
		option.Int(&s.HCErrorsCount, "hc_errors_count", 5, "How many errors of outputs within hc_period are unhealthy."),
		option.Int(&s.HCRetryFailureCount, "hc_retry_failure_count", 5, "How many chunks given up within hc_period are unhealthy."),
		spanField(&s.HCPeriod, "hc_period", 60, "The time over which the health check counts."),
		spanField(&s.ReadyMaxAge, "ready_max_age", 900, "How old the oldest event may be that an output has not got rid of, counted from its arrival, for /api/v1/ready to answer 200. 0 does not look at it.").WithOurs(),
		option.Bool(&s.HotReload, "hot_reload", false, "Allow a reload by signal and by HTTP.").WithLenient(),
		option.Bool(&s.HotReloadEnsureThreadSafety, "hot_reload.ensure_thread_safety", true, "Accepted for compatibility; reloading is always safe.").WithLenient(),
		spanField(&s.HotReloadTimeout, "hot_reload.timeout", 0, "How long a reload may take. 0 means no limit."),
		option.String(&st.Path, "storage.path", "", "The directory of the buffers on disk."),
		option.Enum(&st.Sync, "storage.sync", "normal", []string{"normal", "full"}, "How much care the disk takes."),
		option.Bool(&st.Metrics, "storage.metrics", true, "Report the state of the buffers at /api/v1/storage.").WithLenient(),
		option.Bool(&st.Checksum, "storage.checksum", false, "Check the integrity of buffers on disk.").WithLenient(),
		option.Size(&st.BacklogMemLimit, "storage.backlog.mem_limit", "100M", "How much of what an earlier run left on disk is in memory at once, beside what is being sent. 0 means no limit of its own.").WithLenient(),
		option.Bool(&st.FlushOnShutdown, "storage.backlog.flush_on_shutdown", false, "Try to deliver everything on disk before the end.").WithLenient(),
		option.Int(&st.MaxChunksUp, "storage.max_chunks_up", 128, "How many chunks that are on disk may be in memory as well, counted as full ones of 2 MB, within half of the memory for all records; and at how many chunks on disk the inputs with storage.pause_on_chunks_overlimit wait. 0 means the default."),
		option.Bool(&st.DeleteBadChunks, "storage.delete_irrecoverable_chunks", false, "Delete chunks that are found damaged at the start once all that is whole of them is stored again, instead of keeping them under `corrupt`.").WithLenient(),
		option.Bool(&st.TrimFiles, "storage.trim_files", false, "Give back the unused end of files on disk.").WithLenient(),
		option.Enum(&st.Type, "storage.type", "", []string{"memory", "filesystem", "memrb"}, "The storage.type of inputs that give none, if storage.inherit is on.").WithLenient(),
		option.Bool(&st.Inherit, "storage.inherit", false, "Let inputs take over storage.type.").WithLenient(),
		option.Bool(&st.KeepRejected, "storage.keep.rejected", false, "Keep on disk, as dead letters, what an output gives up. Needs storage.path.").WithLenient(),
		option.Bool(&st.KeepUndelivered, "storage.keep.undelivered", false, "Keep as dead letters also what is in memory and not delivered when the process ends. Its sources then take it for delivered.").WithLenient().WithOurs(),
		option.String(&st.RejectedPath, "storage.rejected.path", "rejected", "The directory of the dead letters, below storage.path."),
		option.Size(&st.RejectedLimit, "storage.rejected.limit", "1G", "The size of that directory; the oldest letters are deleted beyond it. 0 means no limit.").WithLenient(),
		spanField(&s.SchedulerCap, "scheduler.cap", 2000, "The longest time between two attempts to deliver a chunk."),
		spanField(&s.SchedulerBase, "scheduler.base", 5, "The time that the first attempts wait; it doubles each time."),
		option.String(&s.DNSMode, "dns.mode", "", "UDP or TCP, for name lookups."),
		option.String(&s.DNSResolver, "dns.resolver", "", "LEGACY or ASYNC; accepted for compatibility."),
		option.Bool(&s.DNSPreferIPv4, "dns.prefer_ipv4", false, "Try IPv4 addresses first.").WithLenient(),
		option.Bool(&s.DNSPreferIPv6, "dns.prefer_ipv6", false, "Try IPv6 addresses first.").WithLenient(),
		option.Bool(&s.EscapeUnicode, "json.escape_unicode", true, "Write characters beyond ASCII as \\u escapes in JSON.").WithLenient(),
		option.Bool(&s.ConvertNaNToNull, "json.convert_nan_to_null", false, "Write numbers that JSON cannot hold as null.").WithLenient(),
		option.BinarySize(&s.MultilineBufferLimit, "multiline_buffer_limit", "2MB", "How large a record of several lines may become.").WithLenient(),
		option.Bool(&s.StringsToNumbers, "sp.convert_from_str_to_num", true, "Let stream tasks compare texts that look like numbers as numbers.").WithLenient(),
		option.Bool(&s.FIPSMode, "security.fips_mode", false, "Use only cryptography approved by FIPS 140.").WithLenient(),
		option.Bool(&s.EnableChunkTrace, "enable_chunk_trace", false, "Allow the tap of the HTTP server.").WithLenient(),
		option.Int(&s.CoroStackSize, "coro_stack_size", 65536, "Accepted for compatibility; must be at least 4096.").WithUnit("bytes"),
		option.Bool(&af.Enabled, "flush.adaptive", false, "Let the flush interval follow the load.").WithLenient(),
		spanField(&af.Min, "flush.adaptive.min_interval", 0.5, "The shortest adaptive interval."),
		spanField(&af.Max, "flush.adaptive.max_interval", 2, "The longest adaptive interval."),
		option.Float(&af.Low, "flush.adaptive.low_pressure", 25, "Below this pressure the interval grows.").WithUnit("percent"),
		option.Float(&af.Medium, "flush.adaptive.medium_pressure", 50, "Above this pressure the interval shrinks.").WithUnit("percent"),
		option.Float(&af.High, "flush.adaptive.high_pressure", 75, "Above this pressure the interval is shortest.").WithUnit("percent"),
		option.Int(&af.UpSteps, "flush.adaptive.up_steps", 2, "How often in a row pressure must be higher before the interval shrinks."),
		option.Int(&af.DownSteps, "flush.adaptive.down_steps", 3, "How often in a row pressure must be lower before the interval grows."),
		telemetryField(&s.Telemetry, true),
	}
	return fields
}

// minStack is the size of a memory page, below which Fluent Bit refuses
// coro_stack_size.
const minStack = 4096

// telemetryField takes telemetry.metrics.logs.tag_records; limits may be given
// for the service only.
func telemetryField(t *Telemetry, limits bool) option.Field {
	*t = Telemetry{MaxSeries: 500, MaxTagLength: 128}
	return option.Custom("telemetry", option.TypeMap, "",
		"Counts records by tag: `telemetry: {metrics: {logs: {tag_records: {enabled: true}}}}`.",
		func(v option.Value) error {
			path := "telemetry"
			for _, key := range []string{"metrics", "logs", "tag_records"} {
				if v.Shape != option.Map {
					return fmt.Errorf("%s must be a map", path)
				}
				for _, p := range v.Props {
					if !strings.EqualFold(p.Key, key) {
						return fmt.Errorf("%s has no option %q", path, p.Key)
					}
				}
				next, ok := v.Get(key)
				if !ok {
					return nil
				}
				v, path = next, path+"."+key
			}
			if v.Shape != option.Map {
				return fmt.Errorf("%s must be a map with the key enabled", path)
			}
			fields := []option.Field{option.Bool(&t.TagRecords, "enabled", t.TagRecords, "")}
			if limits {
				fields = append(fields, wholeField(&t.MaxSeries, "max_series", t.MaxSeries),
					wholeField(&t.MaxTagLength, "max_tag_length", t.MaxTagLength))
			}
			for _, p := range v.Props { // of a repeated one the last counts
				for _, problem := range option.Decode(fields, []option.Property{p}, "", option.Pos{}) {
					return fmt.Errorf("%s: %s", path, problem.Message)
				}
			}
			return nil
		})
}

// wholeField is a whole number without leniency.
func wholeField(p *int, name string, def int) option.Field {
	*p = def
	return option.Custom(name, option.TypeInt, "", "", func(v option.Value) error {
		n, err := strconv.Atoi(v.Text)
		if v.Shape != option.Scalar || err != nil {
			return fmt.Errorf("%q is not a whole number", v.Text)
		}
		*p = n
		return nil
	})
}

// loadService decodes the settings of the command line and then those of the
// file, in order: the last one counts. Files of parsers and plugins are read
// where they are named.
func (l *loader) loadService() {
	fields := l.cfg.Service.Fields()
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	last := map[string]option.Property{}
	for _, p := range l.opts.Service {
		p.Value.Text = l.expanded(p.Value.Text, p.Pos)
		l.setting(fields, names, last, p)
	}
	for _, s := range l.cfg.Tree.sections {
		if s.kind != kindService {
			continue
		}
		for _, p := range rawProps(s.body) {
			if p.Value.Shape == option.Scalar {
				p.Value.Text = l.expanded(p.Value.Text, p.Value.Pos)
			}
			l.setting(fields, names, last, p)
		}
	}
	svc := l.cfg.Service
	if svc.Flush <= 0 {
		l.fail(last["flush"].Value.Pos, "use a number of seconds such as 1 or 0.5", "the flush interval %q must be more than 0", last["flush"].Value.Text)
	}
	if svc.CoroStackSize < minStack {
		l.fail(last["coro_stack_size"].Value.Pos, "remove it", "coro_stack_size must be at least %d", minStack)
	}
	if v, ok := l.env.get("FLB_LOG_LEVEL"); ok {
		if level := canonical(v, logLevels); level != "" {
			svc.LogLevel = strings.Replace(level, "warning", "warn", 1)
		} else {
			l.warn(option.Pos{}, "", "FLB_LOG_LEVEL is %q, which is not one of %s", v, strings.Join(logLevels, ", "))
		}
	}
}

// setting stores one setting.
func (l *loader) setting(fields []option.Field, names []string, last map[string]option.Property, p option.Property) {
	n := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, p.Key) })
	low := strings.ToLower(p.Key)
	switch {
	case strings.HasPrefix(low, "telemetry") && (low == "telemetry" && p.Value.Shape != option.Map || strings.HasPrefix(low, "telemetry.")):
		l.fail(p.Pos, "write telemetry as a nested map, which only YAML has", "%q cannot be set like this", p.Key)
		return
	case low == "parsers_file" && p.Value.Shape == option.List:
		l.fail(p.Value.Pos, "name one file, or put the parsers into a section parsers", "parsers_file cannot be a list")
		return
	case p.Value.Shape == option.List, p.Value.Shape == option.Map && low != "telemetry" && l.cfg.Tree.Format == YAML:
		l.fail(p.Value.Pos, "", "the setting %q cannot be %s", p.Key, p.Value.Shape)
		return
	case n < 0:
		l.warn(p.Pos, option.DidYouMean(p.Key, names), "the setting %q is not known and is ignored", p.Key)
		return
	}
	name := names[n]
	if prev, again := last[name]; again && !fields[n].Repeatable && prev.Value.Text != p.Value.Text && prev.Pos != (option.Pos{}) {
		l.warn(p.Pos, "", "the setting %q is given more than once; the last one counts", name)
	}
	last[name] = p
	if problems := option.Decode(fields[n:n+1], []option.Property{p}, "service", p.Pos); name != "flush" || l.cfg.Service.Flush > 0 {
		*l.ps = append(*l.ps, problems...)
	}
	switch name {
	case "parsers_file":
		l.parsersFile(p.Value.Text, p.Value.Pos)
	case "plugins_file":
		tree := l.readOther(p.Value.Text, p.Value.Pos, "plugins file")
		for _, s := range tree.sections {
			if strings.EqualFold(s.name, "plugins") {
				l.pluginPaths(s, false)
			}
		}
	}
}
