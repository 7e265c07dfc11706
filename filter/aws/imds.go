package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/internal/netx"
)

// imds is a client of the instance metadata service (Amazon EC2 User Guide, "Use
// instance metadata to manage your EC2 instance"). It is not safe for concurrent
// use.
//
//	PUT /latest/api/token                     version 2 only
//	X-aws-ec2-metadata-token-ttl-seconds: 21600
//
//	GET /latest/meta-data/instance-id/
//	X-aws-ec2-metadata-token: TOKEN           version 2 only
type imds struct {
	client *httpx.Client
	base   *url.URL
	v2     bool
	token  string // "" if there is none
}

const (
	tokenPath      = "/latest/api/token"
	tokenHeader    = "X-aws-ec2-metadata-token"
	lifetimeHeader = "X-aws-ec2-metadata-token-ttl-seconds"
	lifetime       = "21600" // the most that is allowed
)

// answerTime is Fluent Bit's limit for the connection and for each answer.
const answerTime = time.Second

var (
	// errNotFound says that the instance has no such metadata.
	errNotFound = errors.New("the service answered 404 Not Found")
	// errUnreachable says that other questions would have no answer either.
	errUnreachable = errors.New("the instance metadata service cannot be used")
)

func newIMDS(base *url.URL, v2 bool) (*imds, error) {
	d, err := netx.NewDialer(&netx.Client{
		ConnectTimeout: answerTime, IOTimeout: answerTime,
		Keepalive: true, KeepaliveIdle: answerTime, IgnoreProxyEnv: true,
	}, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make client of the instance metadata service: %w", err)
	}
	client, err := httpx.NewClient(d, httpx.ClientOptions{ResponseTimeout: answerTime})
	if err != nil {
		return nil, fmt.Errorf("make client of the instance metadata service: %w", err)
	}
	return &imds{client: client, base: base, v2: v2}, nil
}

// close closes the connection.
func (s *imds) close() { _ = s.client.Close() }

// get returns the metadata at a path.
func (s *imds) get(ctx context.Context, path string) (string, error) {
	if !s.v2 {
		return s.body(s.do(ctx, http.MethodGet, path, "", ""))
	}
	for again := false; ; again = true {
		if s.token == "" {
			if err := s.fetchToken(ctx); err != nil {
				return "", err
			}
		}
		resp, err := s.do(ctx, http.MethodGet, path, tokenHeader, s.token)
		if err == nil && resp.Status == http.StatusUnauthorized && !again {
			s.token = "" // Its time is over.
			continue
		}
		return s.body(resp, err)
	}
}

func (s *imds) fetchToken(ctx context.Context) error {
	token, err := s.body(s.do(ctx, http.MethodPut, tokenPath, lifetimeHeader, lifetime))
	if err == nil && token == "" {
		err = errors.New("the token is empty")
	}
	var slow net.Error
	switch {
	case err == nil:
		s.token = token
		return nil
	case errors.As(err, &slow) && slow.Timeout():
		return fmt.Errorf("get a token of version 2, which in a container needs a hop limit of 2 or more: %w", err)
	case errors.Is(err, errUnreachable):
		return err
	}
	return fmt.Errorf("%w: get a token of version 2: %w", errUnreachable, err)
}

func (s *imds) do(ctx context.Context, method, path, name, value string) (*httpx.Response, error) {
	u := *s.base
	u.Path += path
	r := &httpx.Request{Method: method, URL: &u, Header: http.Header{"User-Agent": {"aws-fluent-bit-plugin"}}}
	if name != "" {
		r.Header[name] = []string{value}
	}
	resp, err := s.client.Do(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	return resp, nil
}

// body returns the text of a good answer.
func (s *imds) body(resp *httpx.Response, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case resp.Status == http.StatusNotFound:
		return "", errNotFound
	case resp.Status != http.StatusOK:
		return "", fmt.Errorf("the service answered %d %s", resp.Status, http.StatusText(resp.Status))
	case resp.Truncated:
		return "", errors.New("the answer is not complete")
	}
	return string(resp.Body), nil
}
