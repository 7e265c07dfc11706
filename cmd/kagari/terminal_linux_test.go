package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a terminal of so many columns and lines: what stands before
// it, and its device.
func terminal(t *testing.T, columns, lines uint16) (front, device *os.File) {
	t.Helper()
	front, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Close() })
	var number int
	conn, err := front.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	control := func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err != nil {
			return
		}
		if number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err != nil {
			return
		}
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: lines})
	}
	if controlErr := conn.Control(control); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	device, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = device.Close() })
	return front, device
}

// modes is how a terminal treats keys and lines.
func modes(t *testing.T, device *os.File) (input, output, local uint32) {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(device.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return m.Iflag, m.Oflag, m.Lflag
}

func TestTopOnATerminal(t *testing.T) {
	router, address := troubledRouter(t)
	for _, key := range []string{"q", "\x03"} {
		front, device := terminal(t, 80, 20)
		iflag, oflag, lflag := modes(t, device)
		cmd := exec.Command("kagari", "top", "-u", address, "-i", "100ms")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = device, device, device
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var screen bytes.Buffer
		until := func(what string, n int) {
			t.Helper()
			deadline := time.Now().Add(20 * time.Second)
			buf := make([]byte, 4096)
			for strings.Count(screen.String(), what) < n {
				if err := front.SetReadDeadline(deadline); err != nil {
					t.Fatal(err)
				}
				got, err := front.Read(buf)
				screen.Write(buf[:got])
				if err != nil {
					t.Fatalf("%q was not shown %d times: %v\n%q", what, n, err, screen.String())
				}
			}
		}
		until("archive (http)", 3)
		if text := screen.String(); !strings.HasPrefix(text, "\x1b[?1049h\x1b[?25l\x1b[H") {
			t.Errorf("the screen is not taken over: %q", text[:min(len(text), 100)])
		}
		if _, err := front.WriteString(key); err != nil {
			t.Fatal(err)
		}
		until("\x1b[?25h\x1b[?1049l", 1)
		if err := cmd.Wait(); err != nil {
			t.Errorf("after the key %q: %v", key, err)
		}
		if i, o, l := modes(t, device); i != iflag || o != oflag || l != lflag {
			t.Errorf("after the key %q the terminal is not as it was", key)
		}
	}
	router.signal(syscall.SIGTERM)
	router.end(0)
}
