package soak

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// destination is an HTTP server that takes JSON lines and keeps account of the
// numbered texts in them, such as "a 17 …", by what is in front of the number.
// Every seventh request fails, each time in another way.
type destination struct {
	srv      *httptest.Server
	requests atomic.Int64
	down     atomic.Bool // refuses everything

	mu   sync.Mutex
	seen map[string][]int // how often each number came
	// unanswered is how many records were taken without an answer, which will
	// come again.
	unanswered int
	bad        []string
	arrived    chan struct{} // replaced, and closed, whenever something arrives
}

func newDestination(t *testing.T) *destination {
	d := &destination{seen: map[string][]int{}, arrived: make(chan struct{})}
	d.srv = httptest.NewServer(d)
	t.Cleanup(d.srv.Close)
	return d
}

func (d *destination) host() string { return d.url().Hostname() }
func (d *destination) port() string { return d.url().Port() }

func (d *destination) url() *url.URL {
	u, err := url.Parse(d.srv.URL)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return u
}

// ServeHTTP takes a request or lets it fail: with status 500, with a connection
// that breaks inside of the body, or with one that breaks before the answer.
func (d *destination) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := d.requests.Add(1)
	fails := n%7 == 0
	if fails && n/7%3 == 1 {
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		hangUp(w)
		return
	}
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil: // the sender was killed
		return
	case d.down.Load() || fails && n/7%3 == 0:
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	count := d.take(body)
	if fails {
		d.mu.Lock()
		d.unanswered += count
		d.mu.Unlock()
		hangUp(w)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func hangUp(w http.ResponseWriter) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		c.Close()
	}
}

// take notes the records of a body.
func (d *destination) take(body []byte) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range bytes.Lines(body) {
		n++
		_, rest, ok := strings.Cut(string(line), `"log":"`)
		name, rest, _ := strings.Cut(rest, " ")
		digits, _, _ := strings.Cut(rest, " ")
		i, err := strconv.Atoi(digits)
		if !ok || err != nil || !strings.HasSuffix(rest, " end\"}\n") {
			d.bad = append(d.bad, string(line))
			continue
		}
		all := d.seen[name]
		for len(all) <= i {
			all = append(all, 0)
		}
		all[i]++
		d.seen[name] = all
	}
	close(d.arrived)
	d.arrived = make(chan struct{})
	return n
}

// has tells whether a number has come.
func (d *destination) has(name string, i int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return i < len(d.seen[name]) && d.seen[name][i] > 0
}

// missing lists the numbers below n that have not come, as ranges.
func (d *destination) missing(name string, n int) (out []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.seen[name]
	for i := 0; i < n; i++ {
		if i < len(all) && all[i] > 0 {
			continue
		}
		first := i
		for i < n && (i >= len(all) || all[i] == 0) {
			i++
		}
		out = append(out, fmt.Sprintf("%d–%d", first, i-1))
	}
	return out
}

// again counts the records that came more than once.
func (d *destination) again() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, all := range d.seen {
		for _, count := range all {
			n += max(0, count-1)
		}
	}
	return n
}

// wait waits until nothing is missing, as long as something arrives now and then.
func (d *destination) wait(quiet time.Duration, complete func() bool) bool {
	for !complete() {
		d.mu.Lock()
		arrived := d.arrived
		d.mu.Unlock()
		select {
		case <-arrived:
		case <-time.After(quiet):
			return complete()
		}
	}
	return true
}
