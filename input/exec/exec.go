// Package exec is the input exec: it runs a command again and again, or once,
// and makes a record of every line that it prints.
package exec

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
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
		Name:    "exec",
		Summary: "Runs a command and reads what it prints",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	Command           string
	Parser            string
	Interval          interval.Options
	BufSize           int64
	Oneshot           bool
	ExitAfterOneshot  bool
	PropagateExitCode bool
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	fields := []option.Field{
		option.String(&c.Command, "command", "",
			"The command, for the shell (`sh -c`).").WithRequired(),
		option.String(&c.Parser, "parser", "",
			"Parser for the lines. A line that does not fit makes no record."),
		option.Size(&c.BufSize, "buf_size", "4096",
			"One more than the longest line; longer ones are cut into several records."),
		option.Bool(&c.Oneshot, "oneshot", false,
			"Run the command only once, at the start."),
		option.Bool(&c.ExitAfterOneshot, "exit_after_oneshot", false,
			"End the whole process when the command has ended; implies oneshot."),
		option.Bool(&c.PropagateExitCode, "propagate_exit_code", false,
			"End the process with the exit code of the command, or 128 plus the number of the signal that ended it. It needs exit_after_oneshot."),
	}
	return append(fields, c.Interval.Fields()...)
}

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	if c.Command == "" {
		return nil, option.At("command", errors.New("option command is empty"))
	}
	if c.PropagateExitCode && !c.ExitAfterOneshot {
		return nil, option.At("propagate_exit_code", errors.New("propagate_exit_code needs exit_after_oneshot"))
	}
	if c.BufSize < 2 || c.BufSize > 1<<30 {
		return nil, option.At("buf_size", fmt.Errorf("buf_size is %d; it must be from 2 to 1G", c.BufSize))
	}
	in := &Input{
		tag: env.OwnTag(), log: env.Log, stats: env.Stats, stop: env.Stop,
		command: c.Command, every: c.Interval.Duration(), line: int(c.BufSize) - 1,
		once: c.Oneshot || c.ExitAfterOneshot, exit: c.ExitAfterOneshot, passCode: c.PropagateExitCode,
	}
	if c.Parser != "" {
		var err error
		if in.parser, err = env.Parser(c.Parser); err != nil {
			// Fluent Bit goes on with the lines as they are.
			env.Log.Error("the lines are not parsed", "error", err)
		}
	}
	return in, nil
}

// Input runs the command.
type Input struct {
	tag   string
	log   *slog.Logger
	stats *plugin.Stats
	stop  func(code int)

	command  string
	every    time.Duration
	line     int // longest line
	parser   plugin.Parser
	once     bool
	exit     bool
	passCode bool
}

var _ plugin.Input = (*Input)(nil)

// patience is how long a command may go on after it was told to end.
const patience = 2 * time.Second

// Run runs the command as often as wanted.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	if !in.once {
		return interval.Run(ctx, in.every, func() error {
			_, err := in.execute(ctx, out)
			return err
		})
	}
	code, err := in.execute(ctx, out)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		// Running it again would not be once.
		in.log.Error("the output of the command could not be read to its end", "error", err)
	}
	if in.exit {
		level := slog.LevelInfo
		if in.passCode && code != 0 {
			level = slog.LevelError // it is the reason of the process's own code
		}
		in.log.Log(ctx, level, "the command has ended, and so will this process", "exit_code", code)
		if !in.passCode {
			code = 0
		}
		in.stop(code)
	}
	return nil
}

// execute runs the command, emits what it prints and returns its exit code.
func (in *Input) execute(ctx context.Context, out plugin.Emitter) (code int, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("make a pipe for the command: %w", err)
	}
	defer r.Close()
	cmd := shell(ctx, in.command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, w, os.Stderr
	cmd.WaitDelay = patience
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		in.log.Error("the command could not be started", "command", in.command, "error", err)
		in.stats.Reject("command_failed", 1)
		return 128, nil
	}
	// What is left of the command's children must not keep the pipe open.
	stopReading := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Now().Add(patience)) })
	defer stopReading()
	err = in.read(ctx, r, out)
	if err != nil {
		// Nobody takes the rest, and the command would wait for that.
		_ = cmd.Cancel()
	}
	waitErr := cmd.Wait()
	killGroup(cmd)
	code = exitCode(cmd.ProcessState)
	in.log.Debug("the command has ended", "command", in.command, "exit_code", code, "error", waitErr)
	return code, err
}

// read makes a record of every line of r.
func (in *Input) read(ctx context.Context, r io.Reader, out plugin.Emitter) error {
	br := bufio.NewReaderSize(r, in.line)
	b := event.NewBatch(in.tag)
	for {
		text, readErr := br.ReadSlice('\n')
		if readErr == nil {
			text = text[:len(text)-1]
		}
		// A line as long as the buffer is followed by an empty piece, which
		// makes a record too, as in Fluent Bit.
		if readErr == nil || len(text) > 0 {
			in.add(b, text)
		}
		full := errors.Is(readErr, bufio.ErrBufferFull)
		if ended := readErr != nil && !full; ended || br.Buffered() == 0 {
			if len(b.Events) == 0 {
				b.Free()
			} else {
				n := len(b.Events)
				if err := out.Emit(ctx, b); err != nil {
					in.stats.Reject("not_taken", n)
					in.log.Error("output of the command is lost: the router does not take it any more", "records", n, "error", err)
					return err
				}
			}
			if errors.Is(readErr, io.EOF) {
				return nil
			}
			if ended {
				return fmt.Errorf("read the output of the command: %w", readErr)
			}
			b = event.NewBatch(in.tag)
		}
	}
}

// add adds the record of a line.
func (in *Input) add(b *event.Batch, text []byte) {
	e := b.Add(time.Now().UnixNano())
	if in.parser == nil {
		e.SetRecord(b.SetArena(appendLine(b.Arena(len(text)+16), text)))
		return
	}
	if !in.parser.Parse(b.Bytes(text), e) {
		b.Events = b.Events[:len(b.Events)-1]
		in.stats.Reject("parse_failed", 1)
		in.log.Error("a line does not fit the parser", "line", string(text[:min(len(text), 200)]))
	}
}

// appendLine appends {"exec": text}.
func appendLine(dst, text []byte) []byte {
	dst = event.AppendMapHeader(dst, 1)
	dst = event.AppendString(dst, "exec")
	return event.AppendString(dst, text)
}
