package multiline

import (
	"bytes"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// The lines of container runtimes that keep to the Kubernetes container runtime
// interface are
//
//	2016-10-06T00:17:09.669794202Z stdout F text of the line
//
// with P in place of F when the next line of the stream goes on with the text.
const (
	criPattern = `^(?<time>.+?) (?<stream>stdout|stderr) (?<_p>F|P) (?<log>.*)$`
	criTime    = "%Y-%m-%dT%H:%M:%S.%L%z"
	criContent = "log"
)

// cri reads the usual CRI lines without an expression.
type cri struct{}

func newCRI() *Parser {
	return &Parser{name: "cri", kind: kindEqual, match: "F", keyContent: criContent, keyGroup: "stream", keyPattern: "_p",
		timeout: DefaultTimeout, cri: &cri{},
		line: lineParser("_ml_cri",
			option.Prop("format", "regex"),
			option.Prop("regex", criPattern),
			option.Prop("skip_empty_values", "false"),
			option.Prop("time_key", "time"),
			option.Prop("time_format", criTime),
			option.Prop("time_keep", "true"),
			option.Prop("time_strict", "false"))}
}

// secondCache remembers the second of the latest time, since most lines have the
// same as the one before.
type secondCache struct {
	text [32]byte
	ns   int64
}

func (s *Stream) scanCRI(b *event.Batch, line []byte, p *part) bool {
	_ = bytes.IndexByte
	return false
}
