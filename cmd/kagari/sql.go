package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/stream"
)

const sqlLong = `Run an SQL statement over files or the standard input, to look into logs or to
try a stream task. Lines are JSON, or what --parser makes of them:

  kagari sql 'SELECT time, level, msg WHERE level = ''error''' app.log
  kagari sql 'SELECT * WHERE status >= 500' --parser nginx access.log

A key of the record is a name; nested ones have brackets, and names with
special characters or of words like time and count double quotes:

  SELECT user['name'], "time", "http.status" ...

Aggregates are over the whole input, by group if there is GROUP BY:

  kagari sql 'SELECT status, COUNT(*) AS n, AVG(size) GROUP BY status' ...
  kagari sql 'SELECT path, COUNT(*) AS n GROUP BY path ORDER BY n DESC LIMIT 10' ...
  kagari sql 'SELECT host, MAX(ms) GROUP BY host HAVING COUNT(*) > 5' ...

Conditions know =, !=, <, <=, >, >=, AND, OR, NOT, IS NULL, LIKE '%text%', ILIKE,
IN (…), BETWEEN a AND b, =~ 'regular expression' and @record.contains(key).
Values can be calculated: + - * / %, || for text, CASE WHEN … THEN … ELSE … END,
and functions:

  lower upper length substr concat coalesce nullif if replace trim ltrim rtrim
  starts_with ends_with position split_part regexp_extract json_extract typeof
  abs floor ceil round int float text now() unix_timestamp() record_time()

  kagari sql 'SELECT json_extract(log, ''$.user.id'') AS id, COUNT(*) AS n GROUP BY id'
  kagari sql 'SELECT * WHERE msg =~ ''(?i)time(d )?out'' OR ms > 1000'

FROM may be left out. FROM TAG:'*.log' takes the files whose names fit, and
RECORD_TAG() is the name of the file.

The language is that of stream tasks, docs/sql.md describes all of it. Where
Fluent Bit's stream processor is peculiar this command is not: AND binds more
tightly than OR, COUNT(key) counts records that have the key, and floats are
exact. --as-task does it as a stream task does.

Lines that cannot be read are left out, and their number is told at the end.`

func (p *program) sqlCommand() *cobra.Command {
	var q sqlQuery
	cmd := &cobra.Command{
		Use:   "sql [flags] STATEMENT [FILE...|-]",
		Short: "Run an SQL statement over logs",
		Long:  sqlLong,
		Example: `  kagari sql "SELECT msg WHERE level = 'error'" app.log
  tail -f app.log | kagari sql "SELECT * WHERE ms > 500"
  kagari sql -o table --parser nginx 'SELECT code, COUNT(*) AS n GROUP BY code ORDER BY n DESC' access.log`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("sql needs a statement, such as 'SELECT * WHERE level = ''error'''")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return q.run(p, args[0], args[1:]) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&q.output, "output", "o", "json", "print the results as `FORMAT`: json, table or csv")
	f.StringVarP(&q.set.name, "parser", "p", "", "`NAME` of the parser for the lines, instead of JSON")
	f.StringVarP(&q.set.config, "config", "c", "", "take the parsers of this configuration `FILE`")
	f.StringArrayVarP(&q.set.parsersFiles, "parsers", "R", nil, "take the parsers of this parsers `FILE`; may be repeated")
	f.BoolVar(&q.asTask, "as-task", false, "run the statement exactly as a stream task does")
	return cmd
}

// sqlQuery is the flags of the sql command and what it works with.
type sqlQuery struct {
	output string
	set    parseTrial // the flags of parsers
	asTask bool

	task   *stream.Task
	parser *parser.Parser // nil for JSON
	print  rowPrinter
	skip   bool // the file at hand does not fit FROM TAG
	bad    int
	first  string // the place of the first bad line
}

// sqlState is the memory that groups may take here.
const sqlState = 256 << 20

func (q *sqlQuery) run(p *program, statement string, files []string) error {
	task, warnings, err := stream.NewSet().Compile("sql", statement,
		stream.Options{Exact: !q.asTask, Loose: true, Whole: true, StateLimit: sqlState})
	for _, w := range warnings {
		e := stream.Error(w)
		p.explain("warning", &e)
	}
	var mistake *stream.Error
	if err == nil {
		mistake = unfit(task)
	} else if !errors.As(err, &mistake) {
		return p.failed(err)
	}
	if mistake != nil {
		p.explain("error", mistake)
		return exitError{exitUsage}
	}
	q.task = task
	if q.set.name != "" {
		if err := q.findParser(p); err != nil {
			return err
		}
	} else if q.set.config != "" || len(q.set.parsersFiles) > 0 {
		return errors.New("-c and -R say where parsers are; name one with --parser")
	}
	out := bufio.NewWriter(p.out)
	if q.print, err = newRowPrinter(q.output, out, task.Columns()); err != nil {
		return err
	}
	err = q.read(&lineReader{files: files, in: p.in}, out)
	if endErr := errors.Join(q.print.end(), out.Flush()); err == nil && endErr != nil {
		err = fmt.Errorf("write results: %w", endErr)
	}
	if q.bad > 0 {
		what := "are no JSON objects"
		if q.parser != nil {
			what = fmt.Sprintf("do not fit the parser %s", q.parser.Name())
		}
		fmt.Fprintf(p.err, "kagari: lines that %s were left out: %d, the first is %s\n", what, q.bad, q.first)
	}
	if n := task.GaveUp(); n > 0 {
		fmt.Fprintf(p.err, "kagari: matches of regular expressions that would take too many steps: %d; they count as not matching\n", n)
	}
	if n := task.Dropped(); n > 0 {
		fmt.Fprintf(p.err, "kagari: there are too many groups, or records to sort; left out: %d\n", n)
		err = errors.Join(err, errors.New("the results are not complete"))
	}
	if err != nil {
		return p.failed(err)
	}
	return nil
}

// unfit says why a statement of stream tasks means nothing here.
func unfit(task *stream.Task) *stream.Error {
	from := task.Source()
	switch {
	case task.Kind() == stream.CreateSnapshot || task.Kind() == stream.FlushSnapshot:
		return task.At("snapshots are for stream tasks", "SELECT shows what is in a file")
	case task.Window().Size > 0:
		return &stream.Error{Query: task.Query(), Offset: max(strings.Index(strings.ToUpper(task.Query()), "WINDOW"), 0),
			Msg: "windows are for stream tasks, here all of the input is one", Fix: "group by the time: GROUP BY floor(record_time() / 60)"}
	case from.Stream && !strings.EqualFold(from.Name, "file"):
		return &stream.Error{Query: task.Query(), Offset: from.Offset, Msg: fmt.Sprintf("there is no stream %q here", from.Name),
			Fix: "leave FROM out, or write FROM STREAM:file"}
	}
	return nil
}

// explain prints a mistake with the place in the statement.
func (p *program) explain(severity string, e *stream.Error) {
	fmt.Fprintf(p.err, "%s: %s\n", severity, e.Msg)
	for line := range strings.Lines(e.Excerpt()) {
		fmt.Fprintf(p.err, "  | %s", line)
	}
	fmt.Fprintln(p.err)
	if e.Fix != "" {
		fmt.Fprintf(p.err, "  = %s\n", e.Fix)
	}
}

func (q *sqlQuery) findParser(p *program) error {
	set, cfg, ps := q.set.parsers()
	if ps.HasErrors() {
		config.Render(p.err, ps, cfg.Sources, isTerminal(p.err))
		return exitError{exitFailed}
	}
	made, err := set.find(q.set.name)
	if err != nil {
		return p.failed(err)
	}
	q.parser = made
	return nil
}

// sqlBatch is how many lines are worked on at once.
const sqlBatch = 512

// read runs the statement over all lines.
func (q *sqlQuery) read(lines *lineReader, out *bufio.Writer) error {
	b := event.NewBatch("")
	line, name := 0, ""
	var failed error
	process := func() {
		if failed == nil && len(b.Events) > 0 {
			failed = q.process(b)
		}
		b.Free()
		b = event.NewBatch(tagOf(lines.name))
	}
	err := lines.each(func(n int, text []byte) {
		if lines.name != name {
			process()
			line, name = n-1, lines.name
			from := q.task.Source()
			q.skip = !from.Stream && from.Name != "" && !engine.MatchTag(from.Name, tagOf(name))
		}
		if !q.skip {
			q.add(b, text, n-line)
		}
		if len(b.Events) >= sqlBatch || lines.waiting() {
			process()
			if lines.waiting() && failed == nil {
				failed = out.Flush() // somebody may be looking on
			}
		}
		lines.done = failed != nil || q.task.Done()
	})
	process()
	b.Free()
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	res := event.NewBatch("")
	defer res.Free()
	q.task.Report(tagOf(name), time.Now(), res)
	return q.rows(res)
}

// tagOf is the tag of the lines of a file.
func tagOf(name string) string {
	if name == "-" {
		return "stdin"
	}
	return name
}

// add appends the event of a line.
func (q *sqlQuery) add(b *event.Batch, text []byte, line int) {
	if len(text) == 0 {
		return
	}
	e := b.Add(time.Now().UnixNano())
	ok := false
	if q.parser != nil {
		ok = q.parser.Parse(b.Bytes(text), e) // The event may alias the text.
	} else {
		rec, err := b.Build(len(text)+16, func(dst []byte) ([]byte, error) {
			out, rest, err := event.AppendJSON(dst, text)
			if err == nil && len(event.SkipJSONSpace(rest)) > 0 {
				err = errors.New("more text behind the value")
			}
			return out, err
		})
		if ok = err == nil && rec.Kind() == event.KindMap; ok {
			e.SetRecord(rec)
		}
	}
	if ok {
		return
	}
	b.Events = b.Events[:len(b.Events)-1]
	if q.bad++; q.bad == 1 {
		q.first = fmt.Sprintf("line %d of %s", line, tagOf(b.Tag))
	}
}

// process runs the statement over a batch.
func (q *sqlQuery) process(b *event.Batch) error {
	res := event.NewBatch("")
	defer res.Free()
	q.task.Process(b, time.Now(), res)
	return q.rows(res)
}

func (q *sqlQuery) rows(b *event.Batch) error {
	for i := range b.Events {
		if err := q.print.row(b.Events[i].Record()); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	return nil
}
