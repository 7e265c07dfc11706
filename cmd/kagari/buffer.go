package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/deadletter"
	"github.com/kagarilog/kagari/event"
)

const bufferLong = `Look into the chunks that a router has stored on disk, below its storage.path, and
mend what is damaged. All commands but repair only read, and may be used while
the router is at work.

  kagari buffer ls /var/lib/kagari
  kagari buffer show /var/lib/kagari 18e9ca6d
  kagari buffer verify /var/lib/kagari`

func (p *program) bufferCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "buffer",
		Short: "Look into stored chunks, and mend them",
		Long:  bufferLong,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("buffer has no command %q; there are ls, show, verify, repair and export", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return exitError{exitFailed}
		},
	}
	cmd.AddCommand(p.bufferList(), p.bufferShow(), p.bufferVerify(), p.bufferRepair(), p.bufferExport())
	return cmd
}

func (p *program) bufferList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "ls [flags] DIR",
		Short: "List the stored chunks, oldest first",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("-o %s: there are table and json", output)
			}
			l, err := buffer.List(args[0])
			if err != nil {
				return p.failed(err)
			}
			if output == "json" {
				return p.listJSON(l)
			}
			p.listTable(l)
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "print as `FORMAT`: table or json, an object in a line for each chunk")
	return cmd
}

// listedChunk is a chunk as `buffer ls -o json` prints it.
type listedChunk struct {
	Chunk   string    `json:"chunk"`
	Input   string    `json:"input"`
	Tag     string    `json:"tag"`
	Outputs []string  `json:"outputs,omitempty"`
	Signal  string    `json:"signal"`
	Records int       `json:"records"`
	Bytes   int64     `json:"bytes"`
	Created time.Time `json:"created"`
	File    string    `json:"file"`
	Error   string    `json:"error,omitempty"`
	Aside   bool      `json:"set_aside,omitempty"`
}

func (p *program) listJSON(l buffer.Listing) error {
	enc := json.NewEncoder(p.out)
	enc.SetEscapeHTML(false)
	for _, f := range append(l.Files, l.Aside...) {
		c := listedChunk{Chunk: f.Info.ID.String(), Input: f.Info.Input, Tag: f.Info.Tag, Outputs: f.Info.Outputs, Signal: signalName(f.Info.Signal),
			Records: f.Info.Count, Bytes: f.Bytes, Created: f.Info.Created.UTC(), File: f.Path, Aside: f.Aside}
		if f.Err != nil {
			c.Error = f.Err.Error()
		}
		if err := enc.Encode(c); err != nil {
			return fmt.Errorf("write list: %w", err)
		}
	}
	return nil
}

func signalName(s event.Signal) string {
	if s == event.Metrics {
		return "metrics"
	}
	return "logs"
}

func (p *program) listTable(l buffer.Listing) {
	rows := [][]string{{"CHUNK", "INPUT", "TAG", "RECORDS", "SIZE", "AGE", ""}}
	records, size := 0, int64(0)
	now := time.Now()
	for _, f := range l.Files {
		note := ""
		switch {
		case f.Err != nil:
			note = f.Err.Error()
		case f.Info.Signal == event.Metrics:
			note = "metrics"
		}
		rows = append(rows, []string{f.Info.ID.String(), f.Info.Input, oneLine(f.Info.Tag), strconv.Itoa(f.Info.Count), sizeText(f.Bytes),
			ageText(now.Sub(f.Info.Created)), note})
		records += f.Info.Count
		size += f.Bytes
	}
	if len(l.Files) > 0 {
		writeColumns(p.out, rows)
	}
	fmt.Fprintf(p.out, "%s, %s, %s\n", counted(len(l.Files), "chunk"), counted(records, "record"), sizeText(size))
	if n := len(l.Aside); n > 0 {
		fmt.Fprintf(p.out, "%s set aside as damaged; kagari buffer repair rescues what is whole\n", counted(n, "file"))
	}
	if n := len(l.Unfinished); n > 0 {
		fmt.Fprintf(p.out, "%s not written to the end\n", counted(n, "file"))
	}
}

// sizeText is a number of bytes to be read by people.
func sizeText(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, i := float64(n)/1000, 0
	for f >= 999.95 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	return fmt.Sprintf("%.1f %cB", f, units[i])
}

// ageText is a span to be read by people.
func ageText(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

func (p *program) bufferVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Check every stored chunk to its last byte",
		Long: `Read every stored chunk and compare its checksums. It ends with 1 if there is
damage, and says where.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := buffer.List(args[0])
			if err != nil {
				return p.failed(err)
			}
			checked, damaged := 0, 0
			for _, f := range l.Files {
				c, err := buffer.Load(f, "")
				switch {
				case errors.Is(err, fs.ErrNotExist): // Delivered meanwhile.
				case err == nil:
					checked++
				default:
					damaged++
					whole := 0
					if c != nil {
						whole = c.Count
					}
					fmt.Fprintf(p.out, "%s: %v; %s whole\n", f.Path, err, counted(whole, "record"))
				}
			}
			fmt.Fprintf(p.out, "%s good, %d damaged", counted(checked, "chunk"), damaged)
			if n := len(l.Aside); n > 0 {
				fmt.Fprintf(p.out, ", %d set aside before", n)
			}
			fmt.Fprintln(p.out)
			if damaged > 0 {
				return exitError{exitFailed}
			}
			return nil
		},
	}
}

func (p *program) bufferRepair() *cobra.Command {
	var tag string
	cmd := &cobra.Command{
		Use:   "repair [flags] DIR",
		Short: "Rescue the whole records of damaged chunks",
		Long: `Store what is whole of damaged chunks anew, also of those that a router has set
aside. The damaged file is kept under DIR/corrupt: nothing is ever deleted. The
router must not be running.

Where the data itself is damaged, not just cut off, a rescued record may hold some
of the damage: the checksum tells that something is wrong, but not where.

A header that is damaged does not tell the tag. With --tag its records are
rescued under that one.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err != nil {
				return p.failed(fmt.Errorf("find storage directory: %w", err))
			}
			d := buffer.New(args[0], true)
			if err := d.Open(); err != nil {
				if errors.Is(err, buffer.ErrInUse) {
					err = fmt.Errorf("%w; stop the router first", err)
				}
				return p.failed(err)
			}
			defer d.Close()
			return p.repair(d, args[0], tag)
		},
	}
	cmd.Flags().StringVar(&tag, "tag", "", "the `TAG` of chunks whose header does not tell it")
	return cmd
}

func (p *program) repair(d *buffer.Dir, dir, tag string) error {
	l, err := buffer.List(dir)
	if err != nil {
		return p.failed(err)
	}
	rescued, repaired, failed := 0, 0, 0
	for _, f := range append(l.Files, l.Aside...) {
		r, err := d.Repair(f, tag)
		switch {
		case err != nil:
			failed++
			fmt.Fprintf(p.err, "kagari: %s: %v\n", f.Path, err)
		case r.Err == nil && !f.Aside:
		case r.Events == 0:
			failed++
			fmt.Fprintf(p.out, "%s: %v; nothing can be rescued, kept as %s\n", f.Path, r.Err, r.Path)
		default:
			repaired++
			rescued += r.Events
			why := ""
			if r.Err != nil {
				why = fmt.Sprintf("%v; ", r.Err)
			}
			fmt.Fprintf(p.out, "%s: %s%s rescued, the original kept as %s\n", f.Path, why, counted(r.Events, "record"), r.Path)
		}
	}
	fmt.Fprintf(p.out, "%s repaired, %s rescued, %d beyond repair\n", counted(repaired, "chunk"), counted(rescued, "record"), failed)
	if failed > 0 {
		return exitError{exitFailed}
	}
	return nil
}

// chunkChoice is what show and export have in common.
type chunkChoice struct {
	inputs, tags []string
	limit        int
}

func (c *chunkChoice) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&c.inputs, "input", nil, "only chunks of the input `NAME`, in which * stands for any text; may be repeated")
	cmd.Flags().StringArrayVar(&c.tags, "tag", nil, "only chunks whose tag fits the `PATTERN`; may be repeated")
}

func (p *program) bufferShow() *cobra.Command {
	var c chunkChoice
	cmd := &cobra.Command{
		Use:   "show [flags] PATH [CHUNK...]",
		Short: "Print the records of stored chunks as JSON lines",
		Long: `Print the records of stored chunks as JSON lines: of all below the directory PATH,
of those whose names begin with CHUNK, or of the file PATH. What is whole of a
damaged chunk is printed as well; then it ends with 1.`,
		Example: `  kagari buffer show /var/lib/kagari 18e9ca6d
  kagari buffer show --tag 'kube.*' -n 10 /var/lib/kagari`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			w := newLetterWriter(p.out)
			return p.eachChunk(&c, args, w.chunk, w.flush)
		},
	}
	c.flags(cmd)
	cmd.Flags().IntVarP(&c.limit, "limit", "n", 0, "print no more than `N` records")
	return cmd
}

func (p *program) bufferExport() *cobra.Command {
	var c chunkChoice
	var format, file string
	cmd := &cobra.Command{
		Use:   "export [flags] PATH [CHUNK...]",
		Short: "Write stored chunks as JSON lines or forward messages",
		Long: `Write the records of stored chunks to the standard output or a file. The chunks
stay where they are.

  json     a line for each record. Nothing is lost in it: what JSON cannot hold
           stands in "event" as well, and kagari replay --to sends these lines.
  forward  messages of the forward protocol in msgpack, a chunk in each, such as
           a Fluentd, a Fluent Bit or another Kagari takes: pipe them to nc.`,
		Example: `  kagari buffer export --file records.jsonl /var/lib/kagari
  kagari buffer export -o forward /var/lib/kagari | nc -N 10.0.0.5 24224`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if format != "json" && format != "forward" {
				return fmt.Errorf("-o %s: there are json and forward", format)
			}
			out, end := p.out, func() error { return nil }
			if file != "" {
				f, err := os.Create(file)
				if err != nil {
					return p.failed(fmt.Errorf("create export file: %w", err))
				}
				out, end = f, func() error { return errors.Join(f.Sync(), f.Close()) }
			}
			var write func(buffer.File, *event.Chunk, int) error
			var flush func() error
			if format == "forward" {
				w := bufio.NewWriterSize(out, 64<<10)
				write, flush = func(f buffer.File, c *event.Chunk, _ int) error { return p.writeForward(w, f, c) }, w.Flush
			} else {
				w := newLetterWriter(out)
				write, flush = w.chunk, w.flush
			}
			return p.eachChunk(&c, args, write, func() error { return errors.Join(flush(), end()) })
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "json", "write as `FORMAT`: json or forward")
	cmd.Flags().StringVarP(&file, "file", "f", "", "write to this `FILE` instead of the standard output")
	return cmd
}

// eachChunk gives the chosen chunks to write, with the number of records that it
// may write or 0, and ends with flush.
func (p *program) eachChunk(choice *chunkChoice, args []string, write func(buffer.File, *event.Chunk, int) error, flush func() error) error {
	files, err := chosenFiles(args)
	if err != nil {
		return p.failed(errors.Join(err, flush()))
	}
	damaged, left := false, choice.limit
	for _, f := range files {
		if choice.limit > 0 && left <= 0 {
			break
		}
		if !fitsAny(choice.inputs, f.Info.Input) || !fitsAny(choice.tags, f.Info.Tag) {
			continue
		}
		c, err := buffer.Load(f, "")
		if errors.Is(err, fs.ErrNotExist) {
			continue // Delivered meanwhile.
		}
		if err != nil {
			damaged = true
			fmt.Fprintf(p.err, "kagari: %s: %v\n", f.Path, err)
		}
		if c == nil {
			continue
		}
		if err := write(f, c, left); err != nil {
			return p.failed(errors.Join(fmt.Errorf("write records: %w", err), flush()))
		}
		left -= c.Count
	}
	if err := flush(); err != nil {
		return p.failed(fmt.Errorf("write records: %w", err))
	}
	if damaged {
		return exitError{exitFailed}
	}
	return nil
}

// chosenFiles finds the files that PATH and the beginnings of names mean.
func chosenFiles(args []string) ([]buffer.File, error) {
	path, names := args[0], args[1:]
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("find stored chunks: %w", err)
	}
	if !st.IsDir() {
		abs, err := filepath.Abs(path) // The folder is the name of the input.
		if err != nil {
			return nil, fmt.Errorf("find stored chunks: %w", err)
		}
		f, ok, err := buffer.Stat(abs)
		if err == nil && !ok {
			err = fmt.Errorf("%s is no chunk file: its name does not have the form INPUT/CHUNK.chunk", path)
		}
		f.Path = path
		return []buffer.File{f}, err
	}
	l, err := buffer.List(path)
	if err != nil || len(names) == 0 {
		return l.Files, err
	}
	var chosen []buffer.File
	for _, name := range names {
		found := false
		for _, f := range append(l.Files, l.Aside...) {
			if strings.HasPrefix(f.Info.ID.String(), name) {
				chosen, found = append(chosen, f), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no chunk %q in %s", name, path)
		}
	}
	return chosen, nil
}

// letterWriter writes records in the form of dead letters.
type letterWriter struct {
	w             *bufio.Writer
	line, scratch []byte
}

func newLetterWriter(w io.Writer) *letterWriter {
	return &letterWriter{w: bufio.NewWriterSize(w, 64<<10)}
}

func (w *letterWriter) flush() error { return w.w.Flush() }

func (w *letterWriter) chunk(f buffer.File, c *event.Chunk, limit int) error {
	l := deadletter.Letter{Tag: c.Tag, Signal: c.Signal, Cause: deadletter.Cause{Input: f.Info.Input, Chunk: f.Info.ID.String()}}
	write := func(n int, entry []byte) (err error) {
		l.Entry, l.ID = entry, l.Chunk+"-"+strconv.Itoa(n)
		if w.line, w.scratch, err = l.Append(w.line[:0], w.scratch); err != nil {
			return err
		}
		_, err = w.w.Write(w.line)
		return err
	}
	if c.Signal != event.Logs {
		l.GivenUp = f.Info.Created
		return write(0, c.Bytes())
	}
	for cur := c.Cursor(); cur.Next() && (limit <= 0 || cur.Index < limit); {
		if err := write(cur.Index, cur.Entry()); err != nil {
			return err
		}
	}
	return nil
}

// writeForward writes a chunk as a message of the forward protocol (PackedForward
// mode of its specification, version 1.5):
//
//	[tag, bin(entries), {"size": count}]
//
// An entry is [time, record], as everybody knows it, or [[time, metadata], record]
// where there is metadata, as Fluent Bit 2 and later do.
func (p *program) writeForward(w io.Writer, f buffer.File, c *event.Chunk) error {
	if c.Signal != event.Logs {
		fmt.Fprintf(p.err, "kagari: %s: metrics are left out of forward messages\n", f.Path)
		return nil
	}
	msg := event.AppendArrayHeader(nil, 3)
	msg = event.AppendString(msg, c.Tag)
	entries := make([]byte, 0, c.Size())
	for cur := c.Cursor(); cur.Next(); {
		entry := cur.Entry()
		if len(cur.Meta) == 1 { // an empty map
			entries = append(append(entries, 0x92), entry[2:12]...)
			entry = cur.Record
		}
		entries = append(entries, entry...)
	}
	msg = event.AppendBinary(msg, entries)
	msg = event.AppendMapHeader(msg, 1)
	msg = event.AppendString(msg, "size")
	msg = event.AppendInt(msg, int64(c.Count))
	_, err := w.Write(msg)
	return err
}
