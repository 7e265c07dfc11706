// Package view shows a running router to people: [Client] asks its admin API,
// [Rates] compares two answers, and [Screen] draws one for a terminal of some
// width. A Fluent Bit is shown as far as it tells about itself.
package view

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/kagarilog/kagari/admin"
	"github.com/kagarilog/kagari/plugin"
)

// DefaultURL is where the admin API is unless the configuration says otherwise.
const DefaultURL = "http://127.0.0.1:2020"

// The bounds of one request.
const (
	answerTime = 5 * time.Second
	answerSize = 32 << 20
)

// Client asks the admin API of one router. Close it after use.
type Client struct {
	base string // without a slash at the end
	http http.Client
}

// NewClient returns a client for an address as people write it: with or
// without http://, and with or without a port, of which 2020 is the default.
func NewClient(address string) (*Client, error) {
	text := strings.TrimSpace(address)
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the address %q is no URL; write it as %s", address, DefaultURL)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the address %q must be of the form http://HOST:PORT", address)
	}
	if u.Port() == "" && u.Scheme == "http" && u.Path == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "2020")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &Client{base: strings.TrimSuffix(u.String(), "/"), http: http.Client{Timeout: answerTime, Transport: transport}}, nil
}

// Close gives the connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Address is the URL that is asked, without a password.
func (c *Client) Address() string {
	u, err := url.Parse(c.base)
	if err != nil {
		return c.base
	}
	return u.Redacted()
}

// Status asks for everything. The error of an address where no router answers
// says what to do about it, in several lines.
func (c *Client) Status(ctx context.Context) (*admin.Status, error) {
	code, body, err := c.get(ctx, "/api/v1/kagari/status")
	if err != nil {
		return nil, c.explain(err)
	}
	if code == http.StatusOK {
		var st admin.Status
		if err := json.Unmarshal(body, &st); err == nil && st.Software == "kagari" {
			return &st, nil
		}
	}
	return c.fluentBit(ctx)
}

// get returns the answer to one request.
func (c *Client) get(ctx context.Context, path string) (code int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", "kagari-status")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, answerSize))
	return resp.StatusCode, body, err
}

// fluentBit puts a status together from what a Fluent Bit answers, or a kagari
// from before there was a status.
func (c *Client) fluentBit(ctx context.Context) (*admin.Status, error) {
	code, body, err := c.get(ctx, "/")
	if err != nil {
		return nil, c.explain(err)
	}
	var root map[string]struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(body, &root); err != nil || root["fluent-bit"].Version == "" {
		return nil, fmt.Errorf("what answers at %s is not the admin API of a router (GET / gave %d %s).\n%s", c.Address(), code, http.StatusText(code), wherePort)
	}
	var metrics []plugin.Metric
	for _, path := range []string{"/api/v2/metrics/prometheus", "/api/v1/metrics/prometheus"} {
		code, text, err := c.get(ctx, path)
		if err != nil {
			return nil, c.explain(err)
		}
		if code == http.StatusOK {
			metrics = parseMetrics(string(text))
			break
		}
	}
	st := admin.NewStatus(unroutedAsLoss(metrics), nil)
	st.Time = time.Now()
	st.Software, st.Version = "Fluent Bit", root["fluent-bit"].Version
	if own := root["kagari"].Version; own != "" {
		st.Software, st.Version = "kagari", own
	}
	if st.Uptime == 0 {
		var up struct {
			Seconds float64 `json:"uptime_sec"`
		}
		if _, text, err := c.get(ctx, "/api/v1/uptime"); err == nil && json.Unmarshal(text, &up) == nil {
			st.Uptime = up.Seconds
		}
	}
	if code, _, err := c.get(ctx, "/api/v1/health"); err == nil {
		switch code {
		case http.StatusOK:
			st.Health = "ok"
		case http.StatusInternalServerError:
			st.Health = "error"
		}
	}
	return st, nil
}

// unroutedAsLoss adds what Fluent Bit counts as dropped for want of an output.
func unroutedAsLoss(metrics []plugin.Metric) []plugin.Metric {
	for _, m := range metrics {
		if m.Name == plugin.DropMetric {
			return metrics // It counts this itself.
		}
	}
	for _, m := range metrics {
		if m.Name != "fluentbit_routing_logs_drop_records_total" {
			continue
		}
		var input, output string
		for _, l := range m.Labels {
			switch l.Name {
			case "input":
				input = l.Value
			case "output":
				output = l.Value
			}
		}
		reason := "not_taken_by_" + output
		if output == "unmatched" {
			reason = "no_output_matches"
		}
		metrics = append(metrics, plugin.Metric{Name: plugin.DropMetric, Type: plugin.CounterMetric, Value: m.Value,
			Labels: []plugin.Label{{Name: "name", Value: input}, {Name: "reason", Value: reason}}})
	}
	return metrics
}

const (
	wherePort = `The admin API has the port http_port of the service section, 2020 if none is given:
  kagari status --url http://HOST:PORT`

	howToTurnOn = `Either no router runs there, or it has another port, or its HTTP server is off, as
it is unless it is asked for. To turn it on, in the configuration:

  [SERVICE]                 or in YAML    service:
      HTTP_Server  On                       http_server: on
      HTTP_Port    2020                     http_port: 2020

or on the command line: kagari -c FILE --http --port 2020
Another address is given with: kagari status --url http://HOST:PORT`
)

// explain says what an error of a request means.
func (c *Client) explain(err error) error {
	var dns *net.DNSError
	var timeout net.Error
	at := c.Address()
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Unreachable{fmt.Sprintf("no router answers at %s: nothing listens there.\n%s", at, howToTurnOn), err}
	case errors.As(err, &dns):
		return &Unreachable{fmt.Sprintf("no router answers at %s: the host %q is not known.", at, dns.Name), err}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return &Unreachable{fmt.Sprintf("no router answers at %s: there is no way to that host.", at), err}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &Unreachable{fmt.Sprintf("nothing answers at %s within %v. Perhaps a firewall is between, or the router listens on\nanother address (http_listen of the service section).\n%s", at, answerTime, wherePort), err}
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return &Unreachable{fmt.Sprintf("what answers at %s does so without TLS: write http://.", at), err}
	case strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "x509: "):
		return &Unreachable{fmt.Sprintf("no TLS with %s: %v", at, err), err}
	}
	// It took the connection and did not speak HTTP.
	return &Unreachable{fmt.Sprintf("what answers at %s does not speak HTTP; perhaps it is the port of an input.\n%s", at, wherePort), err}
}

// Unreachable is that no router answered. Its text is for people and has the
// remedy in further lines.
type Unreachable struct {
	text string
	err  error
}

func (u *Unreachable) Error() string { return u.text }

// Unwrap returns the error of the request.
func (u *Unreachable) Unwrap() error { return u.err }
