// Package netif is the input netif: the traffic of a network interface.
package netif

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/interval"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the input.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "netif",
		Summary: "Traffic of a network interface",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	Interface  string
	Verbose    bool
	TestAtInit bool
	Interval   interval.Options
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return append([]option.Field{
		option.String(&c.Interface, "interface", "", "Name of the interface, such as eth0.").WithRequired(),
		option.Bool(&c.Verbose, "verbose", false, "Tell all sixteen numbers instead of the six that matter most."),
		option.Bool(&c.TestAtInit, "test_at_init", false, "Refuse to start if there is no such interface."),
	}, c.Interval.Fields()...)
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	if c.Interface == "" {
		return nil, option.At("interface", errors.New("option interface is empty"))
	}
	return &Input{
		tag: env.OwnTag(), log: env.Log,
		name: c.Interface, verbose: c.Verbose, test: c.TestAtInit, every: c.Interval.Duration(),
	}, nil
}

// counters are the columns of /proc/net/dev behind the name. The last one is
// misspelled in Fluent Bit.
type counters [16]uint64

var columns = [len(counters{})]struct {
	name  string
	terse bool // told without verbose
}{
	{"rx.bytes", true},
	{"rx.packets", true},
	{"rx.errors", true},
	{"rx.drop", false},
	{"rx.fifo", false},
	{"rx.frame", false},
	{"rx.compressed", false},
	{"rx.multicast", false},
	{"tx.bytes", true},
	{"tx.packets", true},
	{"tx.errors", true},
	{"tx.drop", false},
	{"tx.fifo", false},
	{"tx.collisions", false},
	{"tx.carrier", false},
	{"tx.compressepd", false},
}

// Input measures.
type Input struct {
	tag     string
	log     *slog.Logger
	name    string
	verbose bool
	test    bool
	every   time.Duration
}

var (
	_ plugin.Input   = (*Input)(nil)
	_ plugin.Starter = (*Input)(nil)
)

// Start looks for the interface if that is wanted.
func (in *Input) Start(context.Context) error {
	if !in.test {
		return nil
	}
	_, err := in.read()
	return err
}

// Run measures in every interval. The first reading makes no record. While the
// interface cannot be read nothing counts as having happened.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	var before counters
	first := true
	return interval.Run(ctx, in.every, func() error {
		now, err := in.read()
		if err != nil {
			in.log.Warn("the counters of the interface could not be read", "error", err)
			now = before
		}
		last := before
		before = now
		if first {
			first = false
			return nil
		}
		b := event.NewBatch(in.tag)
		in.fill(b.Add(time.Now().UnixNano()), &last, &now)
		return out.Emit(ctx, b)
	})
}

// fill makes the record of what happened between two readings. A counter that
// began again counts with what it has.
func (in *Input) fill(e *event.Event, before, now *counters) {
	b := e.Batch()
	for i, col := range columns {
		if !col.terse && !in.verbose {
			continue
		}
		n := now[i]
		if before[i] <= n {
			n -= before[i]
		}
		e.Append(b.String(in.name+"."+col.name), b.Int(int64(n)))
	}
}

func (in *Input) read() (counters, error) {
	path := filepath.Join(cmp.Or(os.Getenv("HOST_PROC"), "/proc"), "net", "dev")
	f, err := os.Open(path)
	if err != nil {
		return counters{}, fmt.Errorf("open network counters: %w", err)
	}
	defer f.Close()
	n, err := parse(f, in.name)
	if err != nil {
		return counters{}, fmt.Errorf("read %q: %w", path, err)
	}
	return n, nil
}

// parse finds the counters of an interface:
//
//	Inter-|   Receive                                                |  Transmit
//	 face |bytes    packets errs drop fifo frame compressed multicast|bytes    …
//	    lo:  123456    1234    0    0    0     0          0         0   123456 …
//
// If none has the very name, the last one counts whose name begins so, as in
// Fluent Bit.
func parse(r io.Reader, name string) (found counters, err error) {
	err = fmt.Errorf("there is no interface %q", name)
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		ifname, rest, ok := strings.Cut(strings.TrimSpace(sc.Text()), ":")
		words := strings.Fields(rest)
		if !ok || !strings.HasPrefix(ifname, name) || len(words) != len(found) {
			continue
		}
		var n counters
		for i, w := range words {
			if n[i], ok = parseUint(w); !ok {
				break
			}
		}
		if !ok {
			continue
		}
		found, err = n, nil
		if ifname == name {
			return found, nil
		}
	}
	if sc.Err() != nil {
		err = sc.Err()
	}
	return found, err
}

func parseUint(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
