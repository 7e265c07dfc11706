// Package proc is the input proc: whether a process runs, and what memory and
// files it uses.
package proc

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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
		Name:    "proc",
		Summary: "Whether a process runs, and what it uses",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	ProcName string
	Alert    bool
	Mem      bool
	FD       bool
	Interval interval.Options
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return append([]option.Field{
		option.String(&c.ProcName, "proc_name", "", "Name of the program, without its folder.").WithRequired(),
		option.Bool(&c.Alert, "alert", false, "Make records only while the process does not run."),
		option.Bool(&c.Mem, "mem", true, "Tell the memory of the process."),
		option.Bool(&c.FD, "fd", true, "Tell how many files the process has open."),
	}, c.Interval.Fields()...)
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	return &Input{
		tag: env.OwnTag(), log: env.Log, root: cmp.Or(os.Getenv("HOST_PROC"), "/proc"),
		name: c.ProcName, alert: c.Alert, mem: c.Mem, fd: c.FD, every: c.Interval.Duration(),
	}, nil
}

// Input looks for the process.
type Input struct {
	tag     string
	log     *slog.Logger
	root    string
	name    string
	alert   bool
	mem, fd bool
	every   time.Duration
}

var _ plugin.Input = (*Input)(nil)

// memory is the fields about memory in the order of the record.
var memory = [...]string{"VmPeak", "VmSize", "VmLck", "VmHWM", "VmRSS", "VmData", "VmStk", "VmExe", "VmLib", "VmPTE", "VmSwap"}

// Run looks in every interval.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	return interval.Run(ctx, in.every, func() error {
		pid, err := in.find()
		if err != nil {
			in.log.Error("the processes could not be listed", "error", err)
			return nil
		}
		if in.alert && pid >= 0 {
			return nil
		}
		b := event.NewBatch(in.tag)
		in.fill(b.Add(time.Now().UnixNano()), pid)
		return out.Emit(ctx, b)
	})
}

// find returns the process with the name, -1 if there is none. Of several it
// is the one whose number comes first as a text, as in Fluent Bit.
func (in *Input) find() (pid int, err error) {
	dir, err := os.Open(in.root)
	if err != nil {
		return -1, fmt.Errorf("open processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return -1, fmt.Errorf("list processes: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join(in.root, name, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		program, _, _ := bytes.Cut(cmdline, []byte{0})
		// An empty one is a thread of the kernel.
		if len(program) > 0 && filepath.Base(string(program)) == in.name {
			return pid, nil
		}
	}
	return -1, nil
}

// fill makes the record of a process, or of its absence.
func (in *Input) fill(e *event.Event, pid int) {
	b := e.Batch()
	e.Append(b.String("alive"), b.Bool(pid >= 0))
	e.Append(b.String("proc_name"), b.String(in.name))
	e.Append(b.String("pid"), b.Int(int64(pid)))
	dir := filepath.Join(in.root, strconv.Itoa(pid))
	if in.mem {
		var usage [len(memory)]int64
		if pid >= 0 {
			if err := readMemory(filepath.Join(dir, "status"), &usage); err != nil {
				in.log.Error("the memory of the process could not be read", "error", err)
			}
		}
		for i, name := range memory {
			e.Append(b.String("mem."+name), b.Int(usage[i]))
		}
	}
	if in.fd {
		files := 0
		if pid >= 0 {
			entries, err := os.ReadDir(filepath.Join(dir, "fd"))
			if err != nil {
				in.log.Error("the open files of the process could not be counted", "error", err)
			}
			files = len(entries)
		}
		e.Append(b.String("fd"), b.Int(int64(files)))
	}
}

// readMemory reads the lines of a status file that are about memory:
//
//	VmPeak:	   14860 kB
//
// The kernel's kB are 1024 bytes, but Fluent Bit makes 1000 of each.
func readMemory(path string, usage *[len(memory)]int64) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read status: %w", err)
	}
	sc := bufio.NewScanner(bytes.NewReader(text))
	for sc.Scan() {
		key, rest, _ := strings.Cut(sc.Text(), ":")
		i := slices.Index(memory[:], key)
		if i < 0 {
			continue
		}
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return fmt.Errorf("read %s: %w", key, err)
		}
		usage[i] = n * 1000
	}
	return sc.Err()
}
