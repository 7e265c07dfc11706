package parser

import "github.com/kagarilog/kagari/event"

// ltsvFormat is Format ltsv, labelled tab-separated values: label:value, with
// tabs between, up to the end of the line or the first label without a colon.
type ltsvFormat struct{ parser *Parser }

func newLTSV(p *Parser) (format, []problem) { return &ltsvFormat{p}, nil }

// isLabel tells which bytes may be in a label.
var isLabel = byteClass("-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")

func (l *ltsvFormat) parse(line []byte, e *event.Event) bool {
	w := newFieldWriter(l.parser, e, len(line))
	for i := 0; i < len(line); {
		start := i
		for i < len(line) && isLabel[line[i]] {
			i++
		}
		if i == len(line) || line[i] != ':' {
			break
		}
		label := line[start:i]
		i++
		start = i
		for i < len(line) && line[i] != '\t' && line[i] != '\n' && line[i] != '\r' && line[i] != 0 {
			i++
		}
		text := line[start:i]
		if len(label) > 0 {
			keep, ok := w.takeTime(label, text)
			if !ok {
				return false
			}
			if keep {
				w.key(label)
				w.value(label, text)
			}
		}
		if i < len(line) && line[i] == '\t' {
			i++
		}
		if i < len(line) && (line[i] == '\r' || line[i] == '\n') {
			break
		}
	}
	return w.end(e)
}
