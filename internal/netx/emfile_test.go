//go:build linux

package netx

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestListenerOutlivesALackOfFiles takes all file descriptors away, or all but
// a few, connects, and gives them back.
func TestListenerOutlivesALackOfFiles(t *testing.T) {
	t.Run("none is left", func(t *testing.T) { lackFiles(t, 0) })
	t.Run("few are left, for others", func(t *testing.T) { lackFiles(t, 8) })
}

func lackFiles(t *testing.T, left int) {
	rejected := make(chan string, 100)
	l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{Reject: func(r string) { rejected <- r }}, echo)
	port := l.Addr().(*net.TCPAddr).Port

	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 5}); err != nil {
		t.Fatal(err)
	}

	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = 128
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var fill []*os.File
	restore := func() {
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
		for _, f := range fill {
			f.Close()
		}
		fill = nil
	}
	defer restore()
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		fill = append(fill, f)
	}
	for _, f := range fill[len(fill)-left:] {
		f.Close()
	}
	fill = fill[:len(fill)-left]

	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if got := <-rejected; got != "too_many_files" {
		t.Errorf("counted as %q", got)
	}
	// The peer is told at once, by an end or a reset, rather than left waiting.
	if n, err := syscall.Read(fd, make([]byte, 1)); n > 0 || err == syscall.EAGAIN {
		t.Errorf("read %d bytes, %v; want the end of the connection", n, err)
	}

	if f, err := os.Open(os.DevNull); err == nil {
		f.Close()
	} else if left > 0 {
		t.Errorf("the connection took the last file: %v", err)
	}

	restore()
	conn, err := net.DialTimeout("tcp", l.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	mustAsk(t, conn)
}
