package e2e

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// peers is a router with an input of every kind that serves connections.
type peers struct {
	*router
	forward, http, json, text, syslog string // addresses
	out                               string // file with the records as JSON
}

// servePeers starts it; extra is one more line of each input.
func servePeers(t *testing.T, wrap []string, service, extra string) *peers {
	t.Helper()
	dir := t.TempDir()
	p := &peers{out: filepath.Join(dir, "out.log")}
	parsers := write(t, dir, "parsers.conf", "[PARSER]\n    Name any\n    Format json\n")
	var b strings.Builder
	input := func(name, options string) string {
		port := freePort(t)
		fmt.Fprintf(&b, "[INPUT]\n    Name %s\n    Listen 127.0.0.1\n    Port %s\n    %s\n    %s\n", name, port, options, extra)
		return "127.0.0.1:" + port
	}
	p.forward = input("forward", "")
	p.http = input("http", "")
	p.json = input("tcp", "")
	p.text = input("tcp", "Format none")
	p.syslog = input("syslog", "Mode tcp\n    Parser any")
	fmt.Fprintf(&b, "[OUTPUT]\n    Name file\n    Match *\n    Format plain\n    Path %s\n    File out.log\n", dir)
	p.router = watched(t, wrap, "    Parsers_File "+parsers+"\n"+service, b.String())
	return p
}

// wholeMessages is a message, as {"log": "whole …"}, for each input by address.
func wholeMessages(p *peers) map[string]string {
	return map[string]string{
		p.forward: string(message("a", "log", "whole forward")),
		p.http:    post("/a", "application/json", `{"log":"whole http"}`),
		p.json:    `{"log":"whole json"}`,
		p.text:    "whole text\n",
		p.syslog:  `{"log":"whole syslog"}` + "\n",
	}
}

var wholeTexts = []string{"whole forward", "whole http", "whole json", "whole text", "whole syslog"}

// others sends a whole message on a connection of its own to each input and
// waits until all have arrived.
func (p *peers) others() {
	p.t.Helper()
	before := len(lines(p.out))
	for address, m := range wholeMessages(p) {
		say(p.t, address, m)
	}
	waitFor(p.t, "the messages of other peers", func() bool { return len(lines(p.out)) >= before+len(wholeTexts) })
	for _, text := range wholeTexts {
		if !holds(p.out, `{"log":"`+text+`"}`) {
			p.t.Errorf("%q is missing", text)
		}
	}
}

func (p *peers) wantRejected(instance, reason string) {
	p.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); p.rejected(instance, reason) < 1; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Errorf("%s does not count %q; the log:\n%s", instance, reason, p.log.String())
			return
		}
	}
}

// A peer that dies in the middle of a message is named, for each kind of input,
// and nobody else notices.
func TestPeersThatEndInsideAMessage(t *testing.T) {
	p := servePeers(t, nil, "    Grace 5", "")
	half := map[string]net.Conn{}
	for address, m := range wholeMessages(p) {
		half[address] = say(t, address, m[:len(m)-3])
	}
	header := say(t, p.http, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Ty")
	p.others()
	for _, c := range half {
		c.Close()
	}
	header.Close()
	p.wantRejected("forward.0", "incomplete_message")
	p.wantRejected("http.1", "body_cut_off")
	p.wantRejected("http.1", "bad_header")
	p.wantRejected("tcp.2", "unfinished_message")
	p.wantRejected("tcp.3", "unfinished_message")
	p.wantRejected("syslog.4", "unfinished_message")
	for _, c := range half {
		if peer := c.LocalAddr().String(); !strings.Contains(p.log.String(), peer) {
			t.Errorf("the log does not name the peer %s:\n%s", peer, p.log.String())
		}
	}
	p.others()
	p.stopWithin(3 * time.Second)
}

// A peer that stops without going away is sent away after net.io_timeout, in
// HTTP after http_server.idle_timeout or the ten seconds for a header.
func TestPeersThatStopInsideAMessage(t *testing.T) {
	p := servePeers(t, nil, "    Grace 5", "net.io_timeout 1s")
	var stopped []net.Conn
	for address, m := range wholeMessages(p) {
		stopped = append(stopped, say(t, address, m[:len(m)-3]))
	}
	stopped = append(stopped, say(t, p.http, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Ty"))
	p.others()
	for _, c := range stopped {
		_ = c.SetReadDeadline(time.Now().Add(15 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("the connection to %s stays open", c.RemoteAddr())
		}
	}
	p.wantRejected("forward.0", "incomplete_message")
	p.wantRejected("http.1", "body_too_slow")
	p.wantRejected("http.1", "bad_header")
	p.wantRejected("tcp.2", "unfinished_message")
	p.wantRejected("tcp.3", "unfinished_message")
	p.wantRejected("syslog.4", "unfinished_message")
	p.others()
	p.stopWithin(3 * time.Second)
}

// Peers that are silent, or stopped inside a message, do not hold up the end,
// and what they left unfinished is told.
func TestStoppedPeersDoNotHoldUpTheEnd(t *testing.T) {
	f := func(name string, told bool, part func(m string) string) {
		t.Run(name, func(t *testing.T) {
			p := servePeers(t, nil, "    Grace 10", "")
			var stopped []net.Conn
			for address, m := range wholeMessages(p) {
				stopped = append(stopped, say(t, address, part(m)))
			}
			p.others()
			p.stopWithin(3 * time.Second)
			for _, c := range stopped {
				if peer := c.LocalAddr().String(); told != strings.Contains(p.log.String(), peer) {
					t.Errorf("the log names the peer %s: %v; it is:\n%s", peer, !told, p.log.String())
				}
			}
		})
	}
	f("silent", false, func(string) string { return "" })
	f("one byte", true, func(m string) string { return m[:1] })
	f("half", true, func(m string) string { return m[:len(m)-3] })
}
