package parser

import (
	"fmt"
	"strings"
	"time"

	"github.com/kagarilog/kagari/internal/timefmt"
	"github.com/kagarilog/kagari/option"
)

// timeField reads the time of a record from one of its fields.
type timeField struct {
	key    string
	keep   bool // the field stays in the record
	layout *timefmt.Layout
	today  bool // the layout needs to know the current date
}

// newTimeField makes the timeField of a parser, nil if it has no Time_Format.
func newTimeField(s *Spec) (*timeField, []problem) {
	if s.TimeFormat == "" {
		switch {
		case s.TimeZone != "":
			return nil, []problem{{key: "time_zone", severity: option.Error, message: "option \"time_zone\" needs \"time_format\""}}
		case s.TimeKey != "":
			return nil, []problem{{key: "time_key", severity: option.Advice, message: "option \"time_key\" has no effect without \"time_format\""}}
		}
		return nil, nil
	}
	o := timefmt.Options{Lenient: !s.TimeStrict}
	if s.TimeSystemTimezone {
		o.System = time.Local
	}
	if s.TimeZone != "" {
		switch {
		case s.TimeSystemTimezone:
			return nil, []problem{{key: "time_zone", severity: option.Error, message: "option \"time_zone\" cannot be combined with \"time_system_timezone\""}}
		case s.TimeOffset != "":
			return nil, []problem{{key: "time_zone", severity: option.Error, message: "option \"time_zone\" cannot be combined with \"time_offset\""}}
		}
		zone, err := timefmt.LoadLocation(s.TimeZone)
		if err != nil {
			return nil, []problem{{key: "time_zone", severity: option.Error, message: fmt.Sprintf("option \"time_zone\": %v", err)}}
		}
		o.Zone = zone
	} else if s.TimeOffset != "" && !s.TimeSystemTimezone {
		var err error
		if o.Offset, err = timefmt.ParseOffset(s.TimeOffset); err != nil {
			return nil, []problem{{key: "time_offset", severity: option.Error, message: fmt.Sprintf("option \"time_offset\": %v", err)}}
		}
	}
	layout, err := timefmt.Compile(s.TimeFormat, o)
	if err != nil {
		return nil, []problem{{key: "time_format", severity: option.Error, message: fmt.Sprintf("option \"time_format\": %v", err)}}
	}
	var ps []problem
	for _, w := range layout.Warnings() {
		ps = append(ps, problem{key: "time_format", severity: option.Warning, message: w})
	}
	t := &timeField{key: s.TimeKey, keep: s.TimeKeep, layout: layout}
	if t.key == "" {
		t.key = "time"
	}
	has := func(conversion string) bool { return strings.Contains(s.TimeFormat, conversion) }
	t.today = !has("%Y") && !has("%y") && !has("%s")
	return t, ps
}

// read returns the time in text in nanoseconds since 1970. 0 means that it is
// to count as not set.
func (t *timeField) read(text []byte) (int64, error) {
	var now time.Time
	if t.today {
		now = time.Now()
	}
	ns, _, err := t.layout.Parse(text, now)
	return ns, err
}
