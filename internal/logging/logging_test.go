package logging_test

import (
	"bytes"
	"io"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/internal/logging"
)

func TestLineForm(t *testing.T) {
	var out bytes.Buffer
	log := logging.NewHandler(&out, slog.LevelInfo).Named("tail.0", nil)
	log.Warn("cannot open file", "path", "/a b", "n", 3, "error", "x\ny")
	log.Debug("unseen")
	_, line, _ := strings.Cut(out.String(), "] ")
	want := "[ warn] [tail.0] cannot open file path=\"/a b\" n=3 error=\"x\\ny\"\n"
	if line != want {
		t.Errorf("line is %q, want %q", line, want)
	}
}

func TestGroupsPrefixTheKeysBehindThem(t *testing.T) {
	var out bytes.Buffer
	log := logging.NewHandler(&out, slog.LevelInfo).Named("x", nil)
	log.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").Info("m", "c", 3, slog.Group("i", "d", 4))
	if want := "m a=1 g.b=2 g.h.c=3 g.h.i.d=4\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("%q, want %q at the end", out.String(), want)
	}
}

func TestControlCharactersCannotForgeALine(t *testing.T) {
	var out bytes.Buffer
	logging.NewHandler(&out, slog.LevelInfo).Named("an\nalias", nil).Info("a\n[error] b")
	if got := strings.Count(out.String(), "\n"); got != 1 {
		t.Errorf("the message became %d lines, want 1: %q", got, out.String())
	}
}

func TestEqualMessagesAreLimitedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := logging.NewHandler(&out, slog.LevelInfo).Named("x", nil)
		for range 100 {
			log.Error("bad record")
		}
		if got := strings.Count(out.String(), "\n"); got != 5 {
			t.Errorf("%d lines in one burst, want 5", got)
		}
		out.Reset()
		time.Sleep(11 * time.Second)
		log.Error("bad record")
		if !strings.Contains(out.String(), "(and 95 more like this in the meantime)") {
			t.Errorf("the count of held back messages is missing: %q", out.String())
		}
	})
}

func TestParseLevel(t *testing.T) {
	for s, want := range map[string]slog.Level{"Info": slog.LevelInfo, "WARNING": slog.LevelWarn, "off": logging.LevelOff, "trace": logging.LevelTrace} {
		if got, ok := logging.ParseLevel(s); !ok || got != want {
			t.Errorf("ParseLevel(%q) = %v, %v; want %v", s, got, ok, want)
		}
	}
	if _, ok := logging.ParseLevel("loud"); ok {
		t.Error(`ParseLevel("loud") is accepted`)
	}
}

func TestMessagesAreCountedByLevel(t *testing.T) {
	h := logging.NewHandler(io.Discard, logging.LevelTrace)
	log := h.Named("x", nil)
	for range 7 { // Two are held back.
		log.Error("e")
	}
	log.Warn("w")
	log.Log(t.Context(), slog.LevelWarn+1, "more than a warning")
	log.Log(t.Context(), logging.LevelTrace, "t")
	got := map[string]uint64{}
	h.Count(func(level string, n uint64) { got[level] = n })
	if want := map[string]uint64{"error": 7, "warn": 2, "info": 0, "debug": 0, "trace": 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
