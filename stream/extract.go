package stream

import (
	"math"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/regex"
)

func regexpExtract(c *compiler, n *callNode, args []expr) expr {
	pattern := c.text(n.args[1], "the pattern")
	re, err := regex.Compile(pattern)
	if err != nil {
		c.p.fail(n.args[1].at().pos, "", "the regular expression is wrong: %v", err)
	}
	group := 0
	if re.NumGroups() > 0 {
		group = 1
	}
	if len(n.args) > 2 {
		lit, ok := n.args[2].(*literalNode)
		if !ok || lit.v.k != integer || lit.v.n < 0 || lit.v.n > int64(re.NumGroups()) {
			c.p.fail(n.args[2].at().pos, "", "the group is a number from 0 to %d", re.NumGroups())
		}
		group = int(lit.v.n)
	}
	return func(r *row) val {
		v := textOf(r, args[0](r))
		if v.k != text {
			return v
		}
		var room [16]int
		caps, ok, err := re.FindAt(v.s, 0, room[:0])
		if err != nil {
			r.gaveUp++
		}
		if !ok || 2*group+1 >= len(caps) || caps[2*group] < 0 {
			return val{k: null}
		}
		return val{k: text, s: v.s[caps[2*group]:caps[2*group+1]]}
	}
}

// jsonExtract follows a path in a map, an array, or a text that is JSON.
func jsonExtract(c *compiler, n *callNode, args []expr) expr {
	path, ok := parsePath(c.text(n.args[1], "the path"))
	if !ok {
		c.p.fail(n.args[1].at().pos, "write it as in '$.request.headers[0]'", "the path is wrong")
	}
	return func(r *row) val {
		v := args[0](r)
		if v.k == text {
			from := len(r.buf)
			out, _, err := event.AppendJSON(r.buf, v.s)
			if err != nil {
				return val{k: null}
			}
			r.buf = out
			v = decode(event.Value(r.buf[from:]))
		}
		if v.k != mapping && v.k != other {
			if len(path) > 0 && v.k != missing {
				return val{k: null}
			}
			return v
		}
		found, ok := descend(event.Value(v.s), path)
		if !ok {
			return val{k: null}
		}
		return decode(found)
	}
}

// parsePath reads $.a.b[0]['c'], also without the $.
func parsePath(s string) (path []step, ok bool) {
	i := 0
	if i < len(s) && s[i] == '$' {
		i++
	}
	for i < len(s) {
		switch {
		case s[i] == '[' && i+1 < len(s) && (s[i+1] == '\'' || s[i+1] == '"'):
			key, end, closed := quoted(s, i+1, s[i+1])
			if !closed || end >= len(s) || s[end] != ']' {
				return nil, false
			}
			path, i = append(path, step{key, -1}), end+1
		case s[i] == '[':
			from := i + 1
			for i = from; i < len(s) && isDigit(s[i]); i++ {
			}
			n, fits := parseInt([]byte(s[from:i]), false)
			if i == from || i >= len(s) || s[i] != ']' || !fits || n > math.MaxInt32 {
				return nil, false
			}
			path, i = append(path, step{"", int(n)}), i+1
		default:
			if s[i] == '.' {
				i++
			} else if i > 0 {
				return nil, false
			}
			from := i
			for i < len(s) && s[i] != '.' && s[i] != '[' {
				i++
			}
			if i == from {
				return nil, false
			}
			path = append(path, step{s[from:i], -1})
		}
	}
	return path, true
}
