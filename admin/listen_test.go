package admin

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// hasIPv6 tells whether the machine has the IPv6 loopback address.
func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

func TestListensOnIPv4AndIPv6(t *testing.T) {
	f := func(listen string, v4, v6 bool) {
		t.Helper()
		s := server(&router{}, func(o *Options) { o.Listen = listen })
		if err := s.Start(); err != nil {
			t.Errorf("%s: %v", listen, err)
			return
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		_, port, _ := net.SplitHostPort(s.Addr().String())
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		for host, want := range map[string]bool{"127.0.0.1": v4, "::1": v6} {
			if host == "::1" && !hasIPv6() {
				continue
			}
			resp, err := client.Get("http://" + net.JoinHostPort(host, port) + "/api/v1/health")
			if err == nil {
				_ = resp.Body.Close()
			}
			if got := err == nil && resp.StatusCode == 200; got != want {
				t.Errorf("http_listen %s: an answer at %s: %v, want %v (%v)", listen, host, got, want, err)
			}
		}
	}
	f("0.0.0.0", true, true)
	f("::", true, true)
	f("[::]", true, true)
	f("127.0.0.1", true, false)
	if hasIPv6() {
		f("::1", false, true)
	}
}
