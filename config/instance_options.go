package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/regex"
)

// InputOptions are the options that every input has.
type InputOptions struct {
	Tag                 string // "" for the default
	Alias               string
	LogLevel            string // "" for that of the service
	LogSuppressInterval time.Duration
	Routable            bool

	MemBufLimit            int64  // 0 for none
	StorageType            string // memory, filesystem, memrb; "" if not given
	PauseOnChunksOverlimit bool
	Threaded               bool
	RingBufferCapacity     int
	RingBufferWindow       int // percent
	RateWindow             time.Duration
	RateGate               bool
	RateGateMaxBytes       int64
	RateGateMaxRecords     int
	RateGateBackpressure   bool
	RateGateResumeRatio    float64
	Telemetry              Telemetry
}

// Fields binds the options and resets them to their defaults.
func (o *InputOptions) Fields() []option.Field {
	*o = InputOptions{}
	return []option.Field{
		option.String(&o.Tag, "tag", "", "The tag of the events. Without it the tag is the name of the plugin and the number of the instance, such as `tail.0`."),
		option.String(&o.Alias, "alias", "", "The name of the instance in messages and metrics."),
		logLevelField(&o.LogLevel, "", "Which messages of this instance to write, instead of the service's log_level."),
		option.Seconds(&o.LogSuppressInterval, "log_suppress_interval", "0", "For how long a message is not repeated."),
		option.Bool(&o.Routable, "routable", true, "Whether the events go anywhere. Without it they are dropped.").WithLenient(),
		sizeOrNone(&o.MemBufLimit, "mem_buf_limit", "How much of this input's events may wait in memory. 0 means no limit of its own."),
		option.Enum(&o.StorageType, "storage.type", "", []string{"memory", "filesystem", "memrb"}, "Where events wait: memory, filesystem, or memrb, which drops the oldest when it is full."),
		option.Bool(&o.PauseOnChunksOverlimit, "storage.pause_on_chunks_overlimit", false, "Stop reading when as many chunks are on disk as storage.max_chunks_up says. Needs storage.type filesystem."),
		option.Bool(&o.Threaded, "threaded", false, "Accepted for compatibility; every input runs on its own."),
		option.Int(&o.RingBufferCapacity, "thread.ring_buffer.capacity", 1024, "Accepted for compatibility.").
			WithCheck(atLeast(&o.RingBufferCapacity, 1)),
		option.Int(&o.RingBufferWindow, "thread.ring_buffer.window", 5, "Accepted for compatibility.").WithUnit("percent").
			WithCheck(func() error {
				if o.RingBufferWindow < 1 || o.RingBufferWindow > 100 {
					return fmt.Errorf("%d is not between 1 and 100", o.RingBufferWindow)
				}
				return nil
			}),
		option.Seconds(&o.RateWindow, "rate_window", "1s", "The time over which the rate of events is taken.").
			WithCheck(func() error {
				if o.RateWindow <= 0 {
					return fmt.Errorf("the time must be more than 0")
				}
				return nil
			}),
		option.Bool(&o.RateGate, "rate_gate", false, "Stop reading above the rates below."),
		option.Size(&o.RateGateMaxBytes, "rate_gate.max_bytes", "0", "The most bytes in a second. 0 means no limit."),
		option.Custom("rate_gate.max_records", option.TypeInt, "0", "The most events in a second. 0 means no limit.", func(v option.Value) error {
			n, err := strconv.Atoi(v.Text)
			if v.Shape != option.Scalar || err != nil || n < 0 {
				return fmt.Errorf("%q is not a whole number", v.Text)
			}
			o.RateGateMaxRecords = n
			return nil
		}),
		option.Bool(&o.RateGateBackpressure, "rate_gate.backpressure", true, "Lower the rates while outputs retry."),
		option.Float(&o.RateGateResumeRatio, "rate_gate.resume_ratio", 0.8, "Below which part of the rates reading goes on.").
			WithCheck(func() error {
				if o.RateGateResumeRatio <= 0 || o.RateGateResumeRatio >= 1 {
					return fmt.Errorf("%g is not between 0 and 1", o.RateGateResumeRatio)
				}
				return nil
			}),
		telemetryField(&o.Telemetry, false),
	}
}

func atLeast(p *int, least int) func() error {
	return func() error {
		if *p < least {
			return fmt.Errorf("%d is less than %d", *p, least)
		}
		return nil
	}
}

// sizeOrNone is a size of which a negative one means no limit.
func sizeOrNone(p *int64, name, doc string) option.Field {
	return option.Size(p, name, "0", doc).WithCheck(func() error {
		if *p < 0 {
			*p = 0
			return option.Lenient("a negative size means no limit")
		}
		return nil
	})
}

// FilterOptions are the options that every filter has.
type FilterOptions struct {
	Match               string
	MatchRegex          string
	Alias               string
	LogLevel            string
	LogSuppressInterval time.Duration
	Active              bool // false: the filter is left out

	HasMatch bool // Match was given, if only as empty text
}

// Fields binds the options and resets them to their defaults.
func (o *FilterOptions) Fields() []option.Field {
	*o = FilterOptions{Active: true}
	return []option.Field{
		option.String(&o.Match, "match", "", "Which events the filter gets, by their tag: `*` stands for any text. A filter needs this or match_regex.").
			WithCheck(func() error {
				o.HasMatch = true
				return nil
			}),
		matchRegexField(&o.MatchRegex),
		option.String(&o.Alias, "alias", "", "The name of the instance in messages and metrics."),
		logLevelField(&o.LogLevel, "", "Which messages of this instance to write, instead of the service's log_level."),
		option.Seconds(&o.LogSuppressInterval, "log_suppress_interval", "0", "For how long a message is not repeated."),
		option.Custom("active", option.TypeBool, "true", "Set to false or 0 to leave the filter out.", func(v option.Value) error {
			if strings.EqualFold(v.Text, "false") || v.Text == "0" {
				o.Active = false
				return nil
			}
			if !strings.EqualFold(v.Text, "true") && v.Text != "1" {
				return option.Lenient("only false and 0 have a meaning, not %q", v.Text)
			}
			return nil
		}),
	}
}

// matchRegexField takes a regular expression. One that is wrong counts as not
// given: a filter without another match is refused then, an output gets
// nothing.
func matchRegexField(p *string) option.Field {
	*p = ""
	return option.Custom("match_regex", option.TypeString, "",
		"The same as a regular expression, which must match at the start of the tag.", func(v option.Value) error {
			*p = ""
			if v.Shape != option.Scalar {
				return fmt.Errorf("%s was given where a single value is expected", v.Shape)
			}
			if _, err := regex.Compile(v.Text); err != nil {
				return option.Lenient("%v; the option counts as not given", err)
			}
			*p = v.Text
			return nil
		})
}

// RetryUnlimited is the RetryLimit of an output that never gives up.
const RetryUnlimited = -1

// The values of storage.total_limit_policy.
const (
	LimitBlock      = "block"
	LimitDropOldest = "drop_oldest"
	LimitDeadLetter = "dead_letter"
)

// OutputOptions are the options that every output has.
type OutputOptions struct {
	Match               string
	MatchRegex          string
	Alias               string
	LogLevel            string
	LogSuppressInterval time.Duration
	RetryLimit          int   // attempts after the first, or RetryUnlimited
	Workers             int   // -1 for the default of the plugin
	TotalLimitSize      int64 // of chunks on disk for this output, 0 for none
	TotalLimitPolicy    string
}

// Fields binds the options and resets them to their defaults.
func (o *OutputOptions) Fields() []option.Field {
	*o = OutputOptions{RetryLimit: 1, Workers: -1}
	return []option.Field{
		option.String(&o.Match, "match", "", "Which events the output gets, by their tag: `*` stands for any text. Without this and match_regex it gets none, unless there is only one input and one output."),
		matchRegexField(&o.MatchRegex),
		option.String(&o.Alias, "alias", "", "The name of the instance in messages and metrics."),
		logLevelField(&o.LogLevel, "", "Which messages of this instance to write, instead of the service's log_level."),
		option.Seconds(&o.LogSuppressInterval, "log_suppress_interval", "0", "For how long a message is not repeated."),
		option.Custom("retry_limit", option.TypeString, "1", "How often to try again: a number of at least 1, `no_limits` (also `false` and `off`), or `no_retries`.", o.setRetryLimit),
		option.Custom("workers", option.TypeInt, "", "How many deliveries may run at once. With more than one the order of chunks is lost. The default depends on the plugin.", func(v option.Value) error {
			f, all := leadingFloat(v.Text)
			o.Workers = max(int(min(f, 1024)), 0)
			if !all || f < 0 {
				return option.Lenient("%q counts as %d", v.Text, o.Workers)
			}
			return nil
		}),
		option.Custom("storage.total_limit_size", option.TypeSize, "", "How much may wait on disk for this output, or `off`. What then happens is the matter of storage.total_limit_policy.", func(v option.Value) error {
			o.TotalLimitSize = 0
			if on, err := option.ParseBool(v.Text); err == nil && !on {
				return nil
			}
			n, err := option.ParseSize(v.Text)
			o.TotalLimitSize = max(n, 0)
			return err
		}).WithUnit("bytes"),
		option.Enum(&o.TotalLimitPolicy, "storage.total_limit_policy", LimitBlock, []string{LimitBlock, LimitDropOldest, LimitDeadLetter}, "What to do when storage.total_limit_size is reached: `block` lets the inputs wait, `drop_oldest` drops the oldest chunks that wait for this output, and `dead_letter` writes them to the dead letters. Fluent Bit always drops.").WithOurs(),
	}
}

func (o *OutputOptions) setRetryLimit(v option.Value) error {
	switch strings.ToLower(v.Text) {
	case "no_limits", "false", "off":
		o.RetryLimit = RetryUnlimited
		return nil
	case "no_retries":
		o.RetryLimit = 0
		return nil
	}
	f, all := leadingFloat(v.Text)
	o.RetryLimit = int(min(f, 1<<30))
	if o.RetryLimit < 1 {
		o.RetryLimit = 1
		return option.Lenient("%q is neither a number of at least 1 nor no_limits or no_retries, and counts as 1", v.Text)
	}
	if !all {
		return option.Lenient("%q counts as %d", v.Text, o.RetryLimit)
	}
	return nil
}
