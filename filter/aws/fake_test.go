package aws

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fake is a stand-in for the instance metadata service. It refuses what the real
// one refuses, and fails the test for anything that it does not know.
type fake struct {
	t *testing.T

	mu     sync.Mutex
	values map[string]string // by path
	paths  map[string]bool   // that the service has, with a value or not
	v1     bool              // version 1 is allowed
	token  string
	tokens int // how many were given out
	asked  []string
	wait   chan struct{} // answers wait for it, if it is set
}

// newFake starts a service that the filters of the test use.
func newFake(t *testing.T) *fake {
	f := &fake{t: t, token: "token-0", values: map[string]string{
		"/latest/meta-data/instance-id/":                                      "i-0123456789abcdef0",
		"/latest/meta-data/placement/availability-zone/":                      "eu-central-1a",
		"/latest/meta-data/instance-type/":                                    "m5.large",
		"/latest/meta-data/local-ipv4/":                                       "10.0.0.7",
		"/latest/meta-data/mac/":                                              "0a:1b:2c:3d:4e:5f",
		"/latest/meta-data/network/interfaces/macs/0a:1b:2c:3d:4e:5f/vpc-id/": "vpc-0abc",
		"/latest/meta-data/ami-id/":                                           "ami-0feed",
		"/latest/dynamic/instance-identity/document/":                         "{\n \"accountId\": \"123456789012\",\n \"region\": \"eu-central-1\"\n}",
		"/latest/meta-data/hostname/":                                         "ip-10-0-0-7.ec2.internal",
		"/latest/meta-data/tags/instance":                                     "Name\nEnv\nteam",
		"/latest/meta-data/tags/instance/Name":                                "web 1",
		"/latest/meta-data/tags/instance/Env":                                 "prod",
		"/latest/meta-data/tags/instance/team":                                "",
	}}
	f.paths = map[string]bool{}
	for path := range f.values {
		f.paths[path] = true
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	t.Setenv(endpointVariable, server.URL+"/")
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wait != nil {
		wait := f.wait
		f.mu.Unlock()
		select {
		case <-wait:
		case <-r.Context().Done():
		}
		f.mu.Lock()
	}
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		if ttl := r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds"); ttl != "21600" {
			f.t.Errorf("the lifetime of the token is %q", ttl)
		}
		f.tokens++
		_, _ = w.Write([]byte(f.token))
	case r.Method != http.MethodGet:
		f.t.Errorf("the service was asked to %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusMethodNotAllowed)
	case f.v1 && r.Header.Get("X-aws-ec2-metadata-token") != "":
		f.t.Error("a token was sent though version 1 is to be used")
	case !f.v1 && r.Header.Get("X-aws-ec2-metadata-token") != f.token:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		value, ok := f.values[r.URL.Path]
		if !f.paths[r.URL.Path] || r.URL.RawQuery != "" {
			f.t.Errorf("the service was asked for %s", r.URL)
		}
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(value))
	}
}

// without makes the service forget values, and returns how to give them back.
func (f *fake) without(paths ...string) (restore func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gone := map[string]string{}
	for path, value := range f.values {
		if slices.ContainsFunc(paths, func(p string) bool { return strings.HasSuffix(path, p) }) {
			gone[path] = value
			delete(f.values, path)
		}
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for path, value := range gone {
			f.values[path] = value
		}
	}
}

// requests returns what was asked so far.
func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}
