package accessor

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
)

// TestWarnIgnored: a key with a part that has no effect is warned about, with
// what is used instead and where it stands.
func TestWarnIgnored(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		key, err := event.ParseAccessor(text)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		WarnIgnored(slog.New(slog.NewTextHandler(&log, nil)), key, "rule", "r")
		if got := log.String(); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: the log is %q; want %q in it", text, got, want)
		}
	}
	f("$a['b.c']", "")
	f("$a", "")
	f("$a.b", "rule=r ignored=.b used=a")
}
