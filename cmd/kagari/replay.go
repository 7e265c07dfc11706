package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/builtin"
	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/deadletter"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

const replayLong = `Send dead letters again: what outputs gave up, and a router with
storage.keep.rejected has kept below its storage.path.

With -c the outputs of a configuration get their own letters, past inputs and
filters, which have done their work already. The router may be running.

  kagari replay -c fluent-bit.conf /var/lib/kagari/rejected

With --to they go somewhere else: to another output of the configuration, or to
an address. The scheme is the name of an output; options stand behind the ?.

  kagari replay -c fluent-bit.conf --to spare rejected/
  kagari replay --to forward://10.0.0.5:24224 rejected/
  kagari replay --to 'forward://logs.example:24224?tls=on&shared_key=secret' rejected/

PATH is a directory of letters or one of its files. What has been sent is
remembered beside the file (FILE.replayed) as soon as the destination has it, so
that a replay can be interrupted and run again: nothing is sent twice. What is
given up again stays a letter, to be replayed later; a destination that cannot be
reached ends the replay.

--since and --until are about when the letters were given up: a time like
2026-11-20T15:04:05Z, a local one like "2026-11-20 15:04" or 2026-11-20, or a
span before now like 90m.

A record that a destination rejects can be mended in the file with an editor,
between "record" and the brace that ends it. Where the letter has an "event", that
counts instead; take it out then.`

// replay is the flags of the command.
type replay struct {
	to, config   string
	output       []string
	reason       []string
	tag          []string
	since, until string
	dryRun       bool
	again        bool
	remove       bool
	verbose      bool

	from, before time.Time
}

func (p *program) replayCommand() *cobra.Command {
	var r replay
	cmd := &cobra.Command{
		Use:   "replay [flags] PATH...",
		Short: "Send dead letters again",
		Long:  replayLong,
		Example: `  kagari replay --dry-run /var/lib/kagari/rejected
  kagari replay -c fluent-bit.conf --output http.0 --since 2h /var/lib/kagari/rejected`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return r.run(p, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&r.config, "config", "c", "", "the configuration `FILE` whose outputs get the letters")
	f.StringVar(&r.to, "to", "", "send all to this `OUTPUT` of the configuration, or to NAME://HOST:PORT?OPTION=VALUE")
	f.StringArrayVar(&r.output, "output", nil, "only letters of the output `NAME`, in which * stands for any text; may be repeated")
	f.StringArrayVar(&r.reason, "reason", nil, "only letters given up for the `REASON`, such as refused; may be repeated")
	f.StringArrayVar(&r.tag, "tag", nil, "only letters whose tag fits the `PATTERN`; may be repeated")
	f.StringVar(&r.since, "since", "", "only letters given up at this `TIME` or later")
	f.StringVar(&r.until, "until", "", "only letters given up before this `TIME`")
	f.BoolVarP(&r.dryRun, "dry-run", "n", false, "count what would be sent, and send nothing")
	f.BoolVar(&r.again, "again", false, "send also what was replayed before")
	f.BoolVar(&r.remove, "remove", false, "delete files of which every letter was replayed")
	f.BoolVarP(&r.verbose, "verbose", "v", false, "show what the outputs do")
	return cmd
}

func (r *replay) run(p *program, paths []string) error {
	now := time.Now()
	for _, t := range []struct {
		flag, text string
		to         *time.Time
	}{{"--since", r.since, &r.from}, {"--until", r.until, &r.before}} {
		var err error
		if *t.to, err = parseWhen(t.text, now); err != nil {
			return fmt.Errorf("%s: %w", t.flag, err)
		}
	}
	address := strings.Contains(r.to, "://")
	switch {
	case r.dryRun:
	case r.config == "" && r.to == "":
		return errors.New("replay needs -c FILE, whose outputs get the letters, or --to forward://HOST:PORT")
	case r.config == "" && !address:
		return fmt.Errorf("--to %s is no address like forward://HOST:PORT; for an output of a configuration give that with -c", r.to)
	case r.config != "" && address:
		return errors.New("-c and an address in --to exclude each other")
	}
	files, err := letterFiles(paths)
	if err != nil {
		return p.failed(err)
	}
	if r.dryRun {
		return r.list(p, files)
	}
	cfg, ps := r.load(address)
	if ps.HasErrors() {
		return p.refused(cfg, ps)
	}
	level := slog.LevelWarn
	if r.verbose {
		level = slog.LevelDebug
	}
	line := &statusLine{w: p.err, terminal: isTerminal(p.err)}
	outputs, ps := engine.NewReplay(cfg, builtin.Registry(), engine.Options{Handler: logging.NewHandler(line, level), Version: Version(), MemoryLimit: limitMemory()})
	if outputs == nil {
		return p.refused(cfg, ps)
	}
	target := ""
	if r.to != "" {
		name := r.to
		if len(outputs.Outputs()) == 0 {
			return p.failed(fmt.Errorf("%s has no outputs", r.config))
		}
		if address {
			name = outputs.Outputs()[0]
		}
		var ok bool
		if target, _, ok = outputs.Output(name); !ok {
			err := fmt.Errorf("%s has no output %q; it has %s", r.config, name, strings.Join(outputs.Outputs(), ", "))
			return p.failed(err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // A second signal ends it at once.
	run := &replayRun{replay: r, outputs: outputs, target: target, line: line, missing: map[string]int{}}
	return run.run(ctx, p, files)
}

// letterFiles finds the files that the arguments mean.
func letterFiles(paths []string) (files []string, err error) {
	for _, path := range paths {
		st, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("find dead letters: %w", err)
		}
		if !st.IsDir() {
			files = append(files, path)
			continue
		}
		found, err := deadletter.Files(path)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			if below, err := deadletter.Files(filepath.Join(path, "rejected")); err == nil && len(below) > 0 {
				found = below // PATH is the storage.path.
			}
		}
		files = append(files, found...)
	}
	return files, nil
}

// load makes the configuration whose outputs get the letters.
func (r *replay) load(address bool) (*config.Config, option.Problems) {
	if !address {
		return config.Load(r.config, config.LoadOptions{})
	}
	cfg, ps := config.NewEmpty(config.LoadOptions{Service: props("scheduler.base", "1", "scheduler.cap", "10", "grace", "10")})
	output, err := addressOutput(r.to)
	if err != nil {
		return cfg, append(ps, option.Problem{Severity: option.Error, Section: "replay", Key: "--to", Message: err.Error()})
	}
	_, more := cfg.AddInstance(plugin.KindOutput, output.name, output.props)
	return cfg, append(ps, more...)
}

type namedOutput struct {
	name  string
	props []option.Property
}

// addressOutput turns an address into an output and its options.
func addressOutput(address string) (o namedOutput, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return o, fmt.Errorf("%q is no address like forward://HOST:PORT: %w", address, err)
	}
	o.name = u.Scheme
	given := func(key string) bool { return u.Query().Has(key) }
	set := func(key, value string) {
		if value != "" && !given(key) {
			o.props = append(o.props, option.Prop(key, value))
		}
	}
	if o.name == "https" {
		o.name = "http"
		set("tls", "on")
	}
	host, port := u.Host, ""
	if h, p, err := net.SplitHostPort(u.Host); err == nil {
		host, port = h, p
	}
	set("host", strings.Trim(host, "[]"))
	set("port", port)
	switch o.name {
	case "http":
		set("uri", u.Path)
	case "forward":
		set("require_ack_response", "true") // Else nobody says that it has arrived.
	}
	set("retry_limit", "3")
	keys := make([]string, 0, len(u.Query()))
	for key := range u.Query() {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		for _, value := range u.Query()[key] {
			o.props = append(o.props, option.Prop(key, value))
		}
	}
	return o, nil
}

// parseWhen reads a time, or a span before now. An empty text is the zero time.
func parseWhen(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a time like 2026-11-20T15:04:05Z or 2026-11-20, nor a span like 90m", s)
}

// takes tells whether the flags choose the letter.
func (r *replay) takes(l *deadletter.Letter) bool {
	when := l.GivenUp
	if when.IsZero() {
		when = time.Unix(0, l.Time())
	}
	return fitsAny(r.output, l.Output) && fitsAny(r.reason, l.Reason) && fitsAny(r.tag, l.Tag) &&
		(r.from.IsZero() || !when.Before(r.from)) && (r.before.IsZero() || when.Before(r.before))
}

// fitsAny tells whether one of the patterns matches, or there is none.
func fitsAny(patterns []string, s string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return engine.MatchTag(p, s) })
}

// list counts what would be sent.
func (r *replay) list(p *program, files []string) error {
	type group struct{ output, reason, tag string }
	counts := map[group]int{}
	var order []group
	total, replayed, unreadable := 0, 0, 0
	for _, name := range files {
		done, err := deadletter.ReadReplayed(name)
		if err != nil {
			return p.failed(err)
		}
		err = eachLetter(name, func(l *deadletter.Letter, err error, _ int64) error {
			switch {
			case err != nil:
				unreadable++
			case !r.takes(l):
			case !r.again && done.Has(l.ID):
				replayed++
			default:
				g := group{l.Output, l.Reason, l.Tag}
				if counts[g] == 0 {
					order = append(order, g)
				}
				counts[g]++
				total++
			}
			return nil
		})
		if err != nil {
			return p.failed(err)
		}
	}
	rows := [][]string{{"LETTERS", "OUTPUT", "REASON", "TAG"}}
	for _, g := range order {
		rows = append(rows, []string{fmt.Sprint(counts[g]), g.output, g.reason, g.tag})
	}
	if len(order) > 0 {
		writeColumns(p.out, rows)
	}
	fmt.Fprintf(p.out, "%s would be sent, %d replayed before", counted(total, "letter"), replayed)
	if unreadable > 0 {
		fmt.Fprintf(p.out, ", %d not readable", unreadable)
	}
	fmt.Fprintln(p.out)
	return nil
}

// eachLetter calls f for every line of a file, with what was read so far. A line
// that is cut off at the end of the file is left out.
func eachLetter(name string, f func(l *deadletter.Letter, err error, offset int64) error) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open dead letters: %w", err)
	}
	defer file.Close()
	r := deadletter.NewReader(file)
	for r.Next() {
		l, err := r.Letter()
		if err != nil {
			err = fmt.Errorf("line %d of %s: %w", r.Line(), name, err)
		}
		if err := f(l, err, r.Offset()); err != nil {
			return err
		}
	}
	return r.Err()
}

// writeColumns prints rows with columns of equal width.
func writeColumns(w interface{ Write([]byte) (int, error) }, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// letterChunk makes the chunk of some letters of one tag.
func letterChunk(letters []*deadletter.Letter) *event.Chunk {
	var data []byte
	for _, l := range letters {
		data = append(data, l.Entry...)
	}
	return event.NewChunk(event.NewChunkID(time.Now()), letters[0].Tag, letters[0].Signal, len(letters), data)
}
