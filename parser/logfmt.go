package parser

import "github.com/kagarilog/kagari/event"

// logfmtFormat is Format logfmt: key=value, key="quoted value" and bare keys,
// with anything between them that cannot be in a key, up to the end of the
// line. A key without a value is true. Types turns escapes and truth off: with
// it every value is the text as written.
type logfmtFormat struct {
	parser *Parser
	noBare bool // refuse bare keys
}

func newLogfmt(p *Parser) (format, []problem) {
	return &logfmtFormat{parser: p, noBare: p.spec.LogfmtNoBareKeys}, nil
}

// isIdent tells which bytes may be in a key and in a value without quotes: those
// above the blank that are neither = nor a quote.
var isIdent = func() (set [256]bool) {
	for c := '!'; c < 256; c++ {
		set[c] = c != '=' && c != '"'
	}
	return set
}()

func (f *logfmtFormat) parse(line []byte, e *event.Event) bool {
	w := newFieldWriter(f.parser, e, len(line))
	typed := f.parser.types != nil
	for i := 0; ; {
		for i < len(line) && !isIdent[line[i]] {
			i++
		}
		if i == len(line) {
			break
		}
		start := i
		for i < len(line) && isIdent[line[i]] {
			i++
		}
		key := line[start:i]
		var text []byte
		assigned, quoted, escaped := false, false, false
		if i < len(line) && line[i] == '=' {
			assigned = true
			i++
			if i < len(line) && line[i] == '"' {
				quoted = true
				start = i + 1
				i, escaped = quotedEnd(line, start)
				text = line[start:min(i, len(line))]
				i = min(i+1, len(line))
			} else {
				start = i
				for i < len(line) && isIdent[line[i]] {
					i++
				}
				text = line[start:i]
			}
		}
		if f.noBare && !assigned {
			return false
		}
		keep, ok := w.takeTime(key, text)
		if !ok {
			return false
		}
		if keep {
			w.key(key)
			switch {
			case typed:
				w.value(key, text)
			case len(text) == 0 && !quoted:
				w.out = event.AppendBool(w.out, true)
			case escaped:
				w.out = appendUnescaped(w.out, text, unescapeUTF8)
			default:
				w.out = appendText(w.out, text)
			}
		}
		if i < len(line) && (line[i] == '\r' || line[i] == '\n') {
			break
		}
	}
	return w.end(e)
}

// quotedEnd returns where the quoted text that begins at i ends: the place of
// the quote, or the length of the line if there is none.
func quotedEnd(line []byte, i int) (end int, escaped bool) {
	for i < len(line) && line[i] != '"' {
		if line[i] == '\\' {
			escaped = true
			i++
		}
		i++
	}
	return min(i, len(line)), escaped
}
