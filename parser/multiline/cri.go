package multiline

import (
	"bytes"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/timefmt"
	"github.com/kagarilog/kagari/option"
)

// The lines of container runtimes that keep to the Kubernetes container runtime
// interface (CRI) are
//
//	2016-10-06T00:17:09.669794202Z stdout F text of the line
//
// with P in place of F when the next line of the stream goes on with the text.
// The pattern is Fluent Bit's.
const (
	criPattern = `^(?<time>.+?) (?<stream>stdout|stderr) (?<_p>F|P) (?<log>.*)$`
	criTime    = "%Y-%m-%dT%H:%M:%S.%L%z"
	criContent = "log"
)

// newCRI joins the parts of CRI lines.
func newCRI() *Parser {
	layout, err := timefmt.Compile(criTime, timefmt.Options{Lenient: true})
	if err != nil {
		panic("BUG: time of CRI lines: " + err.Error())
	}
	return &Parser{name: "cri", kind: kindEqual, match: "F", keyContent: criContent, keyGroup: "stream", keyPattern: "_p",
		timeout: DefaultTimeout, cri: layout,
		line: lineParser("_ml_cri",
			option.Prop("format", "regex"),
			option.Prop("regex", criPattern),
			option.Prop("skip_empty_values", "false"),
			option.Prop("time_key", "time"),
			option.Prop("time_format", criTime),
			option.Prop("time_keep", "true"),
			option.Prop("time_strict", "false"))}
}

// criState reads the usual CRI lines without an expression. Since most lines
// have the second of the line before, it remembers that one.
type criState struct {
	date [19]byte // as in 2016-10-06T00:17:09
	zone [6]byte  // Z or an offset from UTC, filled up with zeros
	base int64    // their nanoseconds since 1970; 0 for none
	head []byte   // of the latest record, reused
}

// The places in a line whose time has no fraction and whose zone is Z.
const (
	dateSize = len("2016-10-06T00:17:09")
	tagSize  = len("stdout F ")
	// maxCRITime is how long the text of a time may be here, so that msgpack
	// needs one byte for its header: in the usual form there are 35 at most.
	maxCRITime = dateSize + len(".123456789+00:00")
)

var (
	criTimeKey   = append(event.AppendMapHeader(nil, 4), event.AppendString(nil, "time")...)
	criStreamKey = event.AppendString(nil, "stream")
	criTagKey    = event.AppendString(nil, "_p")
	criLogKey    = event.AppendString(nil, criContent)
)

// scan reads a line into p, with the result of the line parser. It is false if
// the line is not of the usual form. The head of the record is valid until the
// next call.
func (c *criState) scan(layout *timefmt.Layout, line []byte, p *part) bool {
	size := bytes.IndexByte(line, ' ')
	if size < dateSize+len(".0Z") || size > maxCRITime || len(line) < size+1+tagSize {
		return false
	}
	tag := line[size+1 : size+1+tagSize]
	if stream := string(tag[:7]); stream != "stdout " && stream != "stderr " || tag[7] != 'F' && tag[7] != 'P' || tag[8] != ' ' {
		return false
	}
	content := line[size+1+tagSize:]
	if bytes.IndexByte(content, '\n') >= 0 {
		return false
	}
	ns, ok := c.time(layout, line[:size])
	if !ok {
		return false
	}
	out := append(c.head[:0], criTimeKey...)
	out = append(event.AppendStringHeader(out, size), line[:size]...)
	out = append(out, criStreamKey...)
	out = append(append(out, 0xa6), tag[:6]...)
	out = append(out, criTagKey...)
	out = append(out, 0xa1, tag[7])
	c.head = append(out, criLogKey...)
	p.head, p.content, p.subject, p.group, p.time = c.head, content, tag[7:8], tag[:6], ns
	return true
}

// time reads a time of the usual form.
func (c *criState) time(layout *timefmt.Layout, text []byte) (int64, bool) {
	if text[dateSize] != '.' {
		return 0, false
	}
	end, digits, scale := dateSize+1, 0, 1
	for ; end < len(text) && '0' <= text[end] && text[end] <= '9'; end++ {
		digits = digits*10 + int(text[end]-'0')
		scale *= 10
	}
	zone := text[end:]
	if scale == 1 || scale > 1e9 || len(zone) != 1 && len(zone) != len(c.zone) {
		return 0, false
	}
	// The layout has the fraction as a float64 too.
	fraction := int64(float64(digits) / float64(scale) * 1e9)
	if c.base != 0 && string(text[:dateSize]) == string(c.date[:]) && string(zone) == string(c.zone[:len(zone)]) && (len(zone) > 1 || c.zone[1] == 0) {
		return c.base + fraction, true
	}
	ns, n, err := layout.Parse(text, time.Time{})
	if err != nil || n != len(text) || ns == 0 {
		return 0, false
	}
	c.base = ns - fraction
	copy(c.date[:], text)
	clear(c.zone[:])
	copy(c.zone[:], zone)
	return ns, true
}
