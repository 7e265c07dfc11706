package http

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/plugin"
)

// parser turns the body of one request into batches. Its records go to the
// batch of the request's tag, which owns the memory, or with tag_key are copied
// to the batch of their own.
type parser struct {
	in      *Input
	now     int64
	main    *event.Batch            // of the request's tag
	order   []*event.Batch          // of other tags, in the order of their first record
	tags    map[string]*event.Batch // the same by tag
	peer    event.Field             // for add_remote_addr; no key for none
	headers []event.Field           // for add_http_headers
}

func newParser(in *Input, r *http.Request) *parser {
	p := &parser{in: in, now: time.Now().UnixNano()}
	tag := in.tag
	if path := path(r); len(path) > 1 {
		tag = sanitize(path[1:])
	}
	p.main = event.NewBatch(tag)
	if in.cfg.AddRemoteAddr && in.cfg.RemoteAddrKey != "" {
		first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
		if first = strings.TrimSpace(first); first != "" {
			p.peer = field(in.cfg.RemoteAddrKey, first)
		}
	}
	if in.cfg.AddHeaders {
		p.headers = headersOf(r)
	}
	return p
}

// sanitize replaces everything in a tag but letters, digits, dots and
// underscores by underscores, byte for byte.
func sanitize[T ~string | ~[]byte](s T) string {
	b := make([]byte, len(s))
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.') {
			c = '_'
		}
		b[i] = c
	}
	return string(b)
}

// field makes a field of two texts in memory that never changes.
func field(key, val string) event.Field {
	return event.Field{Key: event.AppendString(nil, key), Val: event.AppendString(nil, val)}
}

// headersOf returns the headers with keys as Fluentd's in_http makes them.
func headersOf(r *http.Request) []event.Field {
	all := []event.Field{field("HTTP_HOST", r.Host)}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if name == "Authorization" || name == "Proxy-Authorization" || name == "Cookie" {
			continue
		}
		key := "HTTP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		all = append(all, field(key, strings.Join(r.Header[name], ", ")))
	}
	return all
}

// arenaHint is room for most records, in bytes. To ask for more before each
// record would take a new block for each once the first is used up.
const arenaHint = 4 << 10

// json reads objects and arrays of objects that follow one another, in the
// dialect of Fluent Bit. What stands unfinished at the end is dropped if
// something complete stands before it; text that is not JSON spoils all of it.
func (p *parser) json(body []byte) error {
	rest, found := body, false
	p.main.Grow(len(body))
	for {
		out, next, err := event.AppendLooseJSON(p.main.Arena(min(len(rest), arenaHint)), rest)
		if err != nil {
			if err == io.ErrUnexpectedEOF {
				if rest = bytes.Trim(rest, " \t\r\n,"); found && len(rest) == 0 {
					return nil
				}
				if found {
					p.in.reject("incomplete_json")
					p.in.env.Log.Warn("JSON that is cut off at the end of a request is dropped", "bytes", len(rest))
					return nil
				}
			}
			p.forget()
			var se *event.SyntaxError
			if errors.As(err, &se) {
				se.Offset += len(body) - len(rest)
			}
			return refuse(http.StatusBadRequest, "malformed_json", "unable to process records: %w", err)
		}
		found = true
		if err := p.value(p.main.SetArena(out)); err != nil {
			return err
		}
		rest = next
	}
}

// value takes a record or an array of records.
func (p *parser) value(v event.Value) error {
	switch v.Kind() {
	case event.KindMap:
		p.record(v)
	case event.KindArray:
		for item := range v.Items() {
			if item.Kind() == event.KindMap {
				p.record(item)
				continue
			}
			p.in.reject("not_an_object")
			p.in.env.Log.Warn("an element of an array is dropped: it is no object", "kind", item.Kind().String())
		}
	default:
		return refuse(http.StatusBadRequest, "not_an_object", "unable to process records: %s is no object", v.Kind())
	}
	return nil
}

// record adds a record to the batch of its tag.
func (p *parser) record(rec event.Value) {
	b := p.main
	if p.in.tagKey != nil {
		if b = p.batchOf(rec); b != p.main {
			rec = b.Bytes(rec)
		}
	}
	e := b.Add(p.now)
	e.SetRecord(rec)
	if p.peer.Key != nil {
		if _, ok := e.Get(p.in.cfg.RemoteAddrKey); !ok {
			e.Append(p.peer.Key, p.peer.Val)
		}
	}
	if p.headers != nil {
		e.SetFields(append(e.Fields(), p.headers...))
	}
}

// batchOf returns the batch for a record's tag_key; without a text there, or
// with an empty one, that of the request.
func (p *parser) batchOf(rec event.Value) *event.Batch {
	v, ok := p.in.tagKey.Lookup(rec)
	if !ok || v.Kind() != event.KindString {
		return p.main
	}
	text, _ := v.Str()
	tag := sanitize(text)
	if tag == "" || tag == p.main.Tag {
		return p.main
	}
	b := p.tags[tag]
	if b == nil {
		if p.tags == nil {
			p.tags = map[string]*event.Batch{}
		}
		b = event.NewBatch(tag)
		p.tags[tag] = b
		p.order = append(p.order, b)
	}
	return b
}

// form reads name=value pairs; the names are taken as they are and the values
// decoded.
func (p *parser) form(body []byte) error {
	type pair struct{ name, value []byte }
	var pairs []pair
	for part := range bytes.SplitSeq(body, []byte("&")) {
		name, value, ok := bytes.Cut(bytes.TrimPrefix(part, []byte("\n")), []byte("="))
		if !ok || len(name) == 0 {
			continue
		}
		pairs = append(pairs, pair{bytes.TrimSpace(name), unescape(bytes.TrimSpace(value))})
	}
	if len(pairs) == 0 {
		return refuse(http.StatusBadRequest, "malformed_form", "unable to process records: the form has no field")
	}
	dst := event.AppendMapHeader(p.main.Arena(len(body)+5*len(pairs)*2+5), len(pairs))
	for _, kv := range pairs {
		dst = event.AppendString(dst, kv.name)
		dst = event.AppendString(dst, kv.value)
	}
	p.record(p.main.SetArena(dst))
	return nil
}

// unescape decodes a value of a form; one with a broken escape stays as it is.
func unescape(s []byte) []byte {
	if bytes.IndexByte(s, '%') < 0 && bytes.IndexByte(s, '+') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return s
			}
			out = append(out, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// batches returns all batches that have events, and frees the others.
func (p *parser) batches() []*event.Batch {
	var all []*event.Batch
	if p.main == nil {
		return nil
	}
	for _, b := range append([]*event.Batch{p.main}, p.order...) {
		if len(b.Events) > 0 {
			all = append(all, b)
		} else {
			b.Free()
		}
	}
	p.main, p.order, p.tags = nil, nil, nil
	return all
}

// forget gives everything back.
func (p *parser) forget() {
	for _, b := range p.batches() {
		b.Free()
	}
}

// emit hands the batches to the router. ack, which may be nil, is held by each.
// The error is a *httpx.RequestError.
func (p *parser) emit(ctx context.Context, out plugin.Emitter, ack *event.Ack) error {
	all := p.batches()
	for _, b := range all {
		if ack != nil {
			ack.Hold()
			b.Ack = ack
		}
	}
	for i, b := range all {
		if err := out.Emit(ctx, b); err != nil {
			for _, rest := range all[i+1:] {
				rest.Ack = nil // they were not taken
				rest.Free()
			}
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return httpx.Busy(err)
		}
	}
	return nil
}
