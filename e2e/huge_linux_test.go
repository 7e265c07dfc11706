package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	huge = 1 << 30
	// mostMemory is what the process may need in its whole life, in MB.
	mostMemory = 64
)

func (r *router) wantSmall() {
	r.t.Helper()
	if mb := r.peak(); mb > mostMemory {
		r.t.Errorf("the process needed %d MB, more than %d", mb, mostMemory)
	} else {
		r.t.Logf("the process needed %d MB", mb)
	}
}

// hugeLine makes a file with a line, one that is 1 GB long, and another line.
// The file has a hole and takes no room on the disk.
func hugeLine(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at, text := range map[int64]string{0: "first\nbegin", huge: "end\nlast\n"} {
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
}

// A line of 1 GB in a file that is followed needs little memory and does not
// keep other files waiting, whatever is to become of it.
func TestAHugeLineInAFile(t *testing.T) {
	f := func(name, option string, wantLast, wantBegin bool, reason string) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			hugeLine(t, filepath.Join(dir, "huge.log"))
			write(t, dir, "other.log", "")
			r := watched(t, nil, "    Grace 5", fmt.Sprintf("[INPUT]\n    Name tail\n    Path %s/*.log\n    Read_from_Head on\n    %s\n"+
				"[OUTPUT]\n    Name file\n    Match *\n    Format plain\n    Path %s\n    File out\n", dir, option, dir))
			out := filepath.Join(dir, "out")
			lines := 0
			write(t, dir, "other.log", strings.Repeat("another file\n", 1000))
			waitFor(t, "the other file", func() bool {
				lines = strings.Count(readAll(out), "another file")
				return lines >= 1000
			})
			if wantLast {
				waitFor(t, "the line behind", func() bool { return holds(out, `{"log":"last"}`) })
			} else {
				waitFor(t, "the end of the file", func() bool { return strings.Contains(r.log.String(), "file is given up") })
			}
			text := readAll(out)
			if lines := strings.Count(text, "another file"); lines != 1000 {
				t.Errorf("%d of 1000 lines of the other file", lines)
			}
			if !strings.Contains(text, `{"log":"first"}`) {
				t.Error("the line before is missing")
			}
			if strings.Contains(text, "begin") != wantBegin {
				t.Errorf("the start of the long line is there: %v", !wantBegin)
			}
			if r.counter("kagari_rejected_input_total", reason)+r.counter("kagari_dropped_events_total", reason)+r.counter(reason) != 1 {
				t.Errorf("nothing counts the line as %s", reason)
			}
			if !strings.Contains(r.log.String(), "huge.log") && !wantBegin {
				t.Errorf("the log does not name the file:\n%s", r.log.String())
			}
			r.wantSmall()
			r.stopWithin(3 * time.Second)
		})
	}
	f("default", "", false, false, `reason="file_given_up"`)
	f("skipped", "Skip_Long_Lines on", true, false, `reason="line_too_long"`)
	f("cut", "Truncate_Long_Lines on", true, true, "fluentbit_input_long_line_truncated_total")
	f("cut with a large buffer", "Truncate_Long_Lines on\n    Buffer_Max_Size 1M", true, true, "fluentbit_input_long_line_truncated_total")
}

// A gzip file of 1 MB that unpacks to a line of 1 GB.
func TestAHugeLineInACompressedFile(t *testing.T) {
	dir := t.TempDir()
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	piece := bytes.Repeat([]byte("x"), 1<<20)
	_, _ = io.WriteString(w, "first\n")
	for range huge / len(piece) {
		_, _ = w.Write(piece)
	}
	_, _ = io.WriteString(w, "\nlast\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "huge.log.gz", packed.String())
	write(t, dir, "other.log", "another file\n")
	r := watched(t, nil, "    Grace 5", fmt.Sprintf("[INPUT]\n    Name tail\n    Path %s/*.log,%s/*.gz\n    Read_from_Head on\n    Skip_Long_Lines on\n"+
		"[OUTPUT]\n    Name file\n    Match *\n    Format plain\n    Path %s\n    File out\n", dir, dir, dir))
	out := filepath.Join(dir, "out")
	for _, text := range []string{"another file", "first", "last"} {
		waitFor(t, text, func() bool { return holds(out, `{"log":"`+text+`"}`) })
	}
	r.wantSmall()
	r.stopWithin(3 * time.Second)
}

func readAll(file string) string {
	b, _ := os.ReadFile(file)
	return string(b)
}

// Peers that send 1 GB without an end, or say that 4 GB will follow, are cut
// off and counted.
func TestHugeMessages(t *testing.T) {
	be := binary.BigEndian
	// claim is the start of a forward message whose last value has a length of 4 GB.
	claim := func(b []byte, kind byte) string { return string(be.AppendUint32(append(b, kind), 1<<32-1)) }
	tag := append([]byte{0x93}, msgString("a")...)
	record := append(be.AppendUint32(append(bytes.Clone(tag), 0xce), 1700000000), 0x81)
	key := append(bytes.Clone(record), msgString("log")...)

	f := func(name string, instance, reason string, to func(p *peers) string, start string) {
		t.Run(name, func(t *testing.T) {
			p := servePeers(t, nil, "    Grace 5", "")
			sent := pour(t, say(t, to(p), start))
			if cut := sent < huge; !cut && reason != "invalid_json" { // which is skipped
				t.Errorf("all of %d bytes were taken", sent)
			}
			t.Logf("%d bytes were taken", sent)
			p.wantRejected(instance, reason)
			p.others()
			p.wantSmall()
			p.stopWithin(3 * time.Second)
		})
	}
	toForward := func(p *peers) string { return p.forward }
	f("tcp text", "tcp.3", "message_too_long", func(p *peers) string { return p.text }, "x")
	f("tcp json", "tcp.2", "message_too_long", func(p *peers) string { return p.json }, `{"log":"`)
	f("tcp json nested", "tcp.2", "invalid_json", func(p *peers) string { return p.json }, strings.Repeat("[", 20<<10))
	f("syslog", "syslog.4", "message_too_long", func(p *peers) string { return p.syslog }, "x")
	f("http", "http.1", "body_too_large", func(p *peers) string { return p.http },
		"POST /a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4294967295\r\n\r\n")
	f("http chunk", "http.1", "body_too_large", func(p *peers) string { return p.http },
		"POST /a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n")
	f("http header", "http.1", "bad_header", func(p *peers) string { return p.http }, "POST /a HTTP/1.1\r\nHost: x\r\nX: ")
	f("forward string", "forward.0", "too_large", toForward, claim(key, 0xdb))
	f("forward binary", "forward.0", "too_large", toForward, claim(key, 0xc6))
	f("forward extension", "forward.0", "too_large", toForward, claim(key, 0xc9))
	f("forward tag", "forward.0", "invalid_tag", toForward, claim([]byte{0x93}, 0xdb))
	f("forward packed", "forward.0", "too_large", toForward, claim(tag, 0xc6))
	f("forward map", "forward.0", "too_large", toForward, claim(record[:len(record)-1], 0xdf))
	f("forward array in a record", "forward.0", "too_large", toForward, claim(key, 0xdd))
	f("forward entries", "forward.0", "invalid_entry", toForward, claim(tag, 0xdd))
	f("forward elements", "forward.0", "too_large", toForward, claim(nil, 0xdd)+string(tag[1:])+string(record[len(tag):])+string(msgString("log"))+string(msgString("x")))
}

// pour sends up to 1 GB and returns how much was sent when the peer did not
// take more.
func pour(t *testing.T, c net.Conn) int {
	t.Helper()
	piece := bytes.Repeat([]byte("x"), 1<<16)
	sent := 0
	for sent < huge {
		_ = c.SetWriteDeadline(time.Now().Add(20 * time.Second))
		n, err := c.Write(piece)
		sent += n
		if err != nil {
			if os.IsTimeout(err) {
				t.Errorf("the peer neither reads nor closes the connection after %d bytes", sent)
			}
			return sent
		}
	}
	return sent
}
