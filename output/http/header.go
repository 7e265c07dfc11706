package http

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/encode"
	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/plugin"
)

// contentTypes by format.
var contentTypes = map[encode.Format]string{
	encode.JSON:       "application/json",
	encode.JSONStream: "application/json",
	encode.JSONLines:  "application/x-ndjson",
	encode.Msgpack:    "application/msgpack",
	formatGELF:        "application/json",
}

// setHeaders makes the headers that every request has.
func (o *Output) setHeaders(c *Config) error {
	o.duplicates = c.AllowDuplicates && !c.OAuth2.On // as Fluent Bit has it
	if c.HeaderTag != "" && !validName(c.HeaderTag) {
		return fmt.Errorf("option %q: %q is no name of a header", "header_tag", c.HeaderTag)
	}
	for _, h := range c.Headers {
		if !validName(h[0]) {
			return fmt.Errorf("option %q: %q is no name of a header", "header", h[0])
		}
		o.extra = append(o.extra, [2]string{h[0], clean(strings.Join(h[1:], " "))})
	}
	o.header = http.Header{}
	if c.User != "" {
		o.header["Authorization"] = []string{httpx.BasicAuth(c.User, c.Password)}
	}
	if c.Encoding != httpx.Identity {
		o.header["Content-Encoding"] = []string{string(c.Encoding)}
	}
	if o.body != nil {
		return nil // the record brings the rest
	}
	o.header["Content-Type"] = []string{contentTypes[c.Encode.Format]}
	o.addExtra(o.header)
	return nil
}

// addExtra adds the headers of the option header.
func (o *Output) addExtra(h http.Header) {
	for _, kv := range o.extra {
		o.add(h, kv[0], kv[1])
	}
}

// add adds a header, or puts it in the place of those with the same name. The
// names Host and User-Agent can only be there once.
func (o *Output) add(h http.Header, name, value string) {
	canonical := http.CanonicalHeaderKey(name)
	if canonical == "Host" || canonical == "User-Agent" {
		h[canonical] = []string{value}
		return
	}
	if !o.duplicates {
		for k := range h {
			if http.CanonicalHeaderKey(k) == canonical {
				delete(h, k)
			}
		}
	}
	h[name] = append(h[name], value)
}

// with returns a copy of h with one header more.
func with(h http.Header, name, value string) http.Header {
	h = maps.Clone(h)
	h[name] = append(h[name][:len(h[name]):len(h[name])], value)
	return h
}

// setKeys reads body_key and headers_key.
func (o *Output) setKeys(body, headers string) (err error) {
	if (body == "") != (headers == "") {
		return errors.New("body_key and headers_key need each other")
	}
	if body == "" {
		return nil
	}
	if o.body, err = event.ParseAccessor(body); err != nil {
		return fmt.Errorf("option %q: %w", "body_key", err)
	}
	if o.headers, err = event.ParseAccessor(headers); err != nil {
		return fmt.Errorf("option %q: %w", "headers_key", err)
	}
	return nil
}

// errNoBody is for records that body_key or headers_key finds nothing in.
var errNoBody = errors.New("the record has no text for body_key or no map for headers_key")

// sendEach sends every record in a request of its own. The first failure of the
// connection ends it: the records behind would fail like it.
func (o *Output) sendEach(ctx context.Context, c *event.Chunk) error {
	out := &plugin.PartialError{}
	fail := func(to *[]int, index int, err error) {
		*to = append(*to, index)
		out.Err = err
	}
	down := false
	cur := c.Cursor()
	for cur.Next() {
		if down {
			fail(&out.Retry, cur.Index, out.Err)
			continue
		}
		header, body, ok := o.fromRecord(cur.Record)
		if !ok {
			fail(&out.Rejected, cur.Index, errNoBody)
			continue
		}
		err := o.sendOne(ctx, c.Tag, header, body)
		var never *plugin.PermanentError
		var status *statusError
		switch {
		case err == nil:
		case errors.As(err, &never):
			fail(&out.Rejected, cur.Index, err)
		default:
			fail(&out.Retry, cur.Index, err)
			down = !errors.As(err, &status)
		}
	}
	return cmp.Or(out.Of(c.Count), cur.Err())
}

func (o *Output) sendOne(ctx context.Context, tag string, header http.Header, text []byte) error {
	if o.encoding == httpx.Identity {
		return o.request(ctx, tag, header, text)
	}
	body := httpx.NewBody(o.encoding)
	defer body.Free()
	_, _ = body.Write(text) // never fails
	return o.request(ctx, tag, header, body.Bytes())
}

// fromRecord returns the headers and the body that a record asks for.
func (o *Output) fromRecord(rec event.Value) (http.Header, []byte, bool) {
	v, ok := o.body.Lookup(rec)
	if !ok {
		return nil, nil, false
	}
	body, ok := v.Str()
	if !ok {
		return nil, nil, false
	}
	m, ok := o.headers.Lookup(rec)
	if !ok || m.Kind() != event.KindMap {
		return nil, nil, false
	}
	header := maps.Clone(o.header)
	for k, v := range m.Pairs() {
		name, okName := k.Str()
		value, okValue := v.Str()
		if !okName || !okValue || v.Kind() != event.KindString {
			continue
		}
		if !validName(string(name)) {
			o.env.Log.Warn("a record's header is left out: its name is not valid", "header", string(name))
			continue
		}
		o.add(header, string(name), clean(string(value)))
	}
	o.addExtra(header)
	return header, body, true
}

// validName tells whether s is a token (RFC 9110, section 5.6.2), the form of
// names of headers.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			continue
		}
		return false
	}
	return s != ""
}

// clean replaces what must not be in the value of a header, line ends above
// all, by blanks.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
