package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// sample is what one run of a program took.
type sample struct {
	CPU   float64 `json:"cpu_s_per_million"` // seconds of user and system time
	Wall  float64 `json:"wall_s"`            // from the start to the last record
	Peak  int64   `json:"peak_bytes"`        // 0 if the system does not tell
	Start float64 `json:"start_ms"`          // from the start to the first connection accepted; 0 for files
	// Errors in the delivery of records.
	Missing    int `json:"missing"`
	Duplicates int `json:"duplicates"`
}

// bench is what all measurements share.
type bench struct {
	dir     string // temporary files
	records int
	timeout time.Duration // for one run
	stall   time.Duration // how long nothing may arrive before a run is given up
}

// pollTime is how often metrics are asked for. It is long so that asking does not
// show in the CPU time.
const pollTime = 250 * time.Millisecond

// lateTime is how long a sink waits for duplicates after all have arrived.
const lateTime = 300 * time.Millisecond

// file returns the path of a row's file of lines, which it makes first if need
// be, with all of it in the page cache. Both programs drop from there what they
// have read, so that without this the second one would pay for the disk.
func (b *bench) file(s source) (string, error) {
	name := filepath.Join(b.dir, s.name)
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		f, err = b.makeFile(name, s)
	}
	if err != nil {
		return "", fmt.Errorf("make lines: %w", err)
	}
	_, err = io.Copy(io.Discard, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("make lines: %w", err)
	}
	return name, nil
}

// makeFile writes the lines of a source and returns the file, at its start. It
// is on the disk then: pages that wait to be written would stay in the page
// cache whatever the program under test says.
func (b *bench) makeFile(name string, s source) (*os.File, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	err = s.write(f, b.records)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// setup is the surroundings of one run.
type setup struct {
	dir       string
	env       []string
	adminPort int
	inputPort int
	sink      *sink // nil for the null output
}

// setUp writes the configuration of a row into a new directory, reserves ports
// and starts the sink.
func (b *bench) setUp(r row) (s *setup, err error) {
	s = &setup{}
	if s.dir, err = os.MkdirTemp(b.dir, r.name+"-"); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	file := ""
	if !r.source.stream {
		if file, err = b.file(r.source); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{
		"pipeline.conf": r.pipeline(), "parsers.conf": r.parsers, "streams.conf": r.streams,
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("write configuration: %w", err)
		}
	}
	if s.adminPort, err = freePort(); err != nil {
		return nil, err
	}
	if s.inputPort, err = freePort(); err != nil {
		return nil, err
	}
	sinkPort := 0
	if r.sink {
		if s.sink, err = newSink(b.records); err != nil {
			return nil, err
		}
		sinkPort = s.sink.port()
	}
	s.env = []string{
		"BENCH_FILE=" + file,
		"BENCH_ADMIN_PORT=" + strconv.Itoa(s.adminPort),
		"BENCH_INPUT_PORT=" + strconv.Itoa(s.inputPort),
		"BENCH_SINK_PORT=" + strconv.Itoa(sinkPort),
	}
	return s, nil
}

func (s *setup) close() error {
	var err error
	if s.sink != nil {
		err = s.sink.close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// freePort returns a port that nobody listened on a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// accepts reports whether a program can run a row, with its reason if not.
func (b *bench) accepts(ctx context.Context, p *program, r row) (err error) {
	s, err := b.setUp(r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return p.accepts(ctx, s.dir, s.env)
}

// measure runs a program once.
func (b *bench) measure(ctx context.Context, p *program, r row) (got sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	s, err := b.setUp(r)
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	q, err := p.start(s.dir, s.env)
	if err != nil {
		return got, err
	}
	defer func() { _ = q.stop() }()

	var conn net.Conn
	if r.source.stream {
		if conn, err = connect(ctx, q, s.inputPort); err != nil {
			return got, explain(err, q)
		}
		defer conn.Close()
		got.Start = float64(time.Since(q.started).Microseconds()) / 1000
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_ = r.source.write(conn, b.records) // The counts tell what is missing.
		}()
		// The writer ends when all is sent or when the connection is closed.
		defer func() {
			_ = conn.Close()
			<-sent
		}()
	}
	err = b.wait(ctx, q, s, &got)
	got.Wall = time.Since(q.started).Seconds()
	if err == nil && s.sink != nil {
		time.Sleep(lateTime)
	}
	got.Peak, _ = q.peakMemory()
	if stopErr := q.stop(); err == nil && stopErr != nil {
		err = fmt.Errorf("end of the program: %w", stopErr)
	}
	got.CPU = q.cpu().Seconds() * 1e6 / float64(b.records)
	if s.sink != nil {
		got.Missing = s.sink.missing()
		got.Duplicates = int(s.sink.duplicates.Load())
		if n := s.sink.strange.Load(); n > 0 {
			err = errors.Join(err, fmt.Errorf("%d records with numbers that were never sent", n))
		}
	}
	return got, explain(err, q)
}

// explain adds what the program printed last to an error.
func explain(err error, q *process) error {
	if err == nil {
		return nil
	}
	_ = q.stop()
	if line := lastProblem(q.log.Bytes()); line != "" {
		return fmt.Errorf("%w; it printed: %s", err, line)
	}
	return err
}

// connect waits until the program listens.
func connect(ctx context.Context, q *process, port int) (net.Conn, error) {
	for {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the input: %w", ctx.Err())
		case <-q.exited:
			return nil, errors.New("the program ended before its input listened")
		case <-time.After(time.Millisecond):
		}
	}
}

// wait returns when all records have arrived. If they do not, it counts those
// that are missing.
func (b *bench) wait(ctx context.Context, q *process, s *setup, got *sample) error {
	var complete chan struct{} // nil, which never closes, for the null output
	if s.sink != nil {
		complete = s.sink.complete
	}
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	n, progress := 0, time.Now()
	for {
		select {
		case <-complete:
			return nil
		case <-q.exited:
			return errors.New("the program ended early")
		case <-ctx.Done():
			got.Missing = b.records - n
			return fmt.Errorf("%d of %d records arrived: %w", n, b.records, ctx.Err())
		case <-tick.C:
		}
		before := n
		if s.sink != nil {
			n = int(s.sink.unique.Load())
		} else if now, err := processed(ctx, s.adminPort); err == nil {
			// Until the API listens there is nothing to read.
			n = now
		}
		switch {
		case s.sink == nil && n >= b.records:
			got.Duplicates = n - b.records
			return nil
		case n != before:
			progress = time.Now()
		case time.Since(progress) > b.stall:
			got.Missing = b.records - n
			return fmt.Errorf("%d of %d records arrived, and no more for %v", n, b.records, b.stall)
		}
	}
}
