package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/plugin"
)

// handler answers requests. Its answers are Fluent Bit's with the reason added.
type handler struct {
	in  *Input
	out plugin.Emitter
}

func refuse(status int, reason, format string, args ...any) error {
	return &httpx.RequestError{Status: status, Reason: reason, Err: fmt.Errorf(format, args...)}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.in.cfg.Health && r.Method == http.MethodGet && path(r) == "/health" {
		h.health(w)
		return
	}
	if err := h.serve(w, r); err != nil {
		var re *httpx.RequestError
		if errors.As(err, &re) {
			h.in.reject(re.Reason)
			h.in.env.Log.Warn("a request is refused", "error", err, "peer", r.RemoteAddr, "status", re.Status)
		}
		httpx.Answer(w, err)
		return
	}
	for _, kv := range h.in.cfg.SuccessHeaders {
		w.Header()[kv[0]] = append(w.Header()[kv[0]], strings.Join(kv[1:], " "))
	}
	w.WriteHeader(h.in.cfg.SuccessCode)
}

// path is the path as it was sent, without the query and not decoded.
func path(r *http.Request) string {
	if !strings.HasPrefix(r.RequestURI, "/") {
		return r.URL.EscapedPath() // the whole URL was sent
	}
	p, _, _ := strings.Cut(r.RequestURI, "?")
	return p
}

func (h *handler) health(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\n  \"status\": \"ok\",\n  \"timestamp\": %q\n}\n", time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z"))
}

// Media types of bodies.
const (
	typeJSON = "application/json"
	typeForm = "application/x-www-form-urlencoded"
)

// serve takes the events of a request. The error is a *httpx.RequestError.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	if err := h.in.jwt.Validate(r.Context(), r.Header.Get("Authorization")); err != nil {
		return err
	}
	if r.Method != http.MethodPost {
		return refuse(http.StatusBadRequest, "bad_method", "invalid HTTP method")
	}
	kind := r.Header.Get("Content-Type")
	if kind == "" {
		return refuse(http.StatusBadRequest, "no_content_type", "header 'Content-Type' is not set")
	}
	media, _, _ := strings.Cut(kind, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if media != typeJSON && media != typeForm {
		return refuse(http.StatusBadRequest, "bad_content_type", "invalid 'Content-Type'; %s and %s are taken", typeJSON, typeForm)
	}
	var ack *event.Ack
	done := make(chan struct{})
	if h.in.cfg.WaitAck {
		ack = event.NewAck(func() { close(done) })
	}
	err := h.in.cfg.HTTP.WithBody(w, r, func(ctx context.Context, body []byte) error {
		if len(body) == 0 {
			return refuse(http.StatusBadRequest, "empty_body", "no payload found")
		}
		p := newParser(h.in, r)
		var err error
		if media == typeForm {
			err = p.form(body)
		} else {
			err = p.json(body)
		}
		// What could be read is taken even if something behind it is refused.
		if eerr := p.emit(ctx, h.out, ack); eerr != nil {
			return eerr
		}
		return err
	})
	if err != nil || ack == nil {
		return err
	}
	ack.Release()
	return h.wait(w, r, done)
}

// wait waits until the acks of all batches are released.
func (h *handler) wait(w http.ResponseWriter, r *http.Request, done <-chan struct{}) error {
	var timeout <-chan time.Time
	if h.in.cfg.AckTimeout > 0 {
		t := time.NewTimer(h.in.cfg.AckTimeout)
		defer t.Stop()
		timeout = t.C
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	select {
	case <-done:
		return nil
	case <-timeout:
		return refuse(http.StatusServiceUnavailable, "not_acknowledged", "the records were not delivered in time")
	case <-r.Context().Done():
		return httpx.Busy(context.Cause(r.Context()))
	}
}
