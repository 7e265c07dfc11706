package admin

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A crowd of clients gets no more than the connections there are; those behind
// it are served when others leave, and the end waits for none of them.
func TestACrowdOfClientsWaits(t *testing.T) {
	s := server(&router{}, nil)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	var crowd []net.Conn
	for range maxConnections + 10 {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		crowd = append(crowd, c)
	}
	last := crowd[len(crowd)-1]
	fmt.Fprint(last, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	_ = last.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := last.Read(make([]byte, 1)); err == nil {
		t.Errorf("the client behind a full crowd gets %d bytes", n)
	}
	for _, c := range crowd[:20] {
		c.Close()
	}
	_ = last.SetReadDeadline(time.Now().Add(10 * time.Second))
	if answer, err := io.ReadAll(last); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("it then gets %.100q, %v", answer, err)
	}
	begin := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
}
