//go:build unix

package unixsocket

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "socket_path", "/tmp/x.sock") }

// socketPath returns a short path; they may have 107 bytes only.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func dial(t testing.TB, network, path string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(plugintest.Patience); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial(network, path)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

var modes = map[string]string{"stream": "unix", "dgram": "unixgram"}

func TestContract(t *testing.T) {
	for mode, network := range modes {
		t.Run(mode, func(t *testing.T) {
			plugintest.Input(t, plugintest.InputSuite{Def: Def(), Open: func(t *testing.T) plugintest.Source {
				path := socketPath(t)
				return plugintest.Source{
					Props: []string{"socket_path", path, "socket_mode", mode},
					Feed: func(t *testing.T) {
						if _, err := dial(t, network, path).Write([]byte(`{"a":1}`)); err != nil {
							t.Fatal(err)
						}
					},
				}
			}})
		})
	}
}

func TestRecords(t *testing.T) {
	for mode, network := range modes {
		t.Run(mode, func(t *testing.T) {
			plugintest.NoLeaks(t)
			path := socketPath(t)
			var em plugintest.Emitter
			in := plugintest.NewInput(t, Def(), plugintest.Env(t), "socket_path", path, "socket_mode", mode, "format", "none")
			r := plugintest.Run(t, in, &em)
			conn := dial(t, network, path)
			for _, text := range []string{"one\ntwo\n", "three\n"} {
				if _, err := conn.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			em.Wait(t, 3)
			if err := r.Stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
			if want := []string{`{"log":"one"}`, `{"log":"two"}`, `{"log":"three"}`}; !slices.Equal(em.Records(), want) {
				t.Errorf("the records are %q, expected %q", em.Records(), want)
			}
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the socket's file is still there: %v", err)
			}
		})
	}
}

func TestPermissions(t *testing.T) {
	f := func(permissions string, want fs.FileMode) {
		t.Helper()
		for mode := range modes {
			path := socketPath(t)
			in := plugintest.NewInput(t, Def(), plugintest.Env(t), "socket_path", path, "socket_mode", mode, "socket_permissions", permissions)
			if err := in.(plugin.Starter).Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("in mode %s socket_permissions %s gives %o, expected %o", mode, permissions, got, want)
			}
			_ = in.(*Input).Close()
		}
	}
	f("0600", 0o600)
	f("666", 0o666)
	f("0660 # group", 0o660)
}

func TestStart(t *testing.T) {
	try := func(path string) error {
		in := plugintest.NewInput(t, Def(), plugintest.Env(t), "socket_path", path)
		defer in.(*Input).Close()
		return in.(plugin.Starter).Start(t.Context())
	}
	dir := filepath.Dir(socketPath(t))
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := try(file); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("on a file Start returned %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Error("the file was removed")
	}
	if err := try(filepath.Join(dir, "missing", "s")); err == nil {
		t.Error("in a missing folder Start returned no error")
	}
	// A socket that a process left behind which was killed.
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if err := try(stale); err != nil {
		t.Errorf("on a stale socket Start returned %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	if _, err := plugintest.TryInput(Def(), plugintest.Env(t)); err == nil {
		t.Error("no error without socket_path")
	}
	_, problems := plugintest.Decode(Def(), "socket_path", "/x", "socket_mode", "seqpacket")
	if problems.HasErrors() || len(problems) != 1 {
		t.Errorf("problems with an unknown mode: %v, expected one warning", problems)
	}
}
