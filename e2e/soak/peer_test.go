package soak

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/event"
)

// peer sends numbered records over the forward protocol and asks for
// acknowledgements, as Fluentd does with require_ack_response: a message that
// was not acknowledged on one connection is sent again on the next. Or it posts
// them over HTTP, one message after the other, until the answer is good.
type peer struct {
	name    string // in front of the numbers
	address string
	posts   bool
	// acked is called with each record that was acknowledged.
	acked func(number int)

	sent, messages, resent atomic.Int64

	next   int
	unsure []*message // sent and not acknowledged
}

// message is a message of the Forward mode.
type message struct {
	id          string
	first, last int
}

// mostUnsure is how many messages may be without acknowledgement.
const mostUnsure = 20

// ackPatience is how long an acknowledgement is waited for. The router may hold
// it back as long as the destination fails.
const ackPatience = 5 * time.Second

// encode appends the message [tag, [[time, {"log": …}], …], {"chunk": id}].
func (m *message) encode(dst []byte, name string) []byte {
	dst = event.AppendArrayHeader(dst, 3)
	dst = event.AppendString(dst, "app")
	dst = event.AppendArrayHeader(dst, m.last-m.first)
	for i := m.first; i < m.last; i++ {
		dst = event.AppendArrayHeader(dst, 2)
		dst = event.AppendInt(dst, 1700000000)
		dst = event.AppendMapHeader(dst, 1)
		dst = event.AppendString(dst, "log")
		dst = event.AppendString(dst, record(name, i))
	}
	dst = event.AppendMapHeader(dst, 1)
	dst = event.AppendString(dst, "chunk")
	return event.AppendString(dst, m.id)
}

// run sends until stop is closed, on one connection after the other.
func (p *peer) run(rnd *rand.Rand, stop <-chan struct{}) {
	client := &http.Client{Timeout: ackPatience}
	defer client.CloseIdleConnections()
	for {
		select {
		case <-stop:
			return
		default:
		}
		if p.posts {
			p.post(client, rnd)
			continue
		}
		c, err := net.DialTimeout("tcp", p.address, time.Second)
		if err != nil {
			time.Sleep(20 * time.Millisecond) // it is being started
			continue
		}
		p.talk(c, rnd, stop)
		c.Close()
	}
}

// post sends a message over HTTP, the one before if that was not taken.
func (p *peer) post(client *http.Client, rnd *rand.Rand) {
	if len(p.unsure) == 0 {
		p.unsure = append(p.unsure, p.message(rnd))
	} else {
		p.resent.Add(1)
		time.Sleep(20 * time.Millisecond)
	}
	m := p.unsure[0]
	var body strings.Builder
	for i := m.first; i < m.last; i++ {
		fmt.Fprintf(&body, "{\"log\":\"%s\"}\n", record(p.name, i))
	}
	resp, err := client.Post("http://"+p.address+"/app", "application/json", strings.NewReader(body.String()))
	if err != nil {
		return
	}
	resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		p.confirm(m.id)
	}
}

// message makes the next message.
func (p *peer) message(rnd *rand.Rand) *message {
	m := &message{id: fmt.Sprintf("%s-%d", p.name, p.next), first: p.next, last: p.next + 1 + rnd.IntN(40)}
	p.next = m.last
	p.sent.Store(int64(p.next))
	p.messages.Add(1)
	return m
}

// record is the text of a record.
func record(name string, i int) string {
	return fmt.Sprintf("%s %d %s end", name, i, strings.Repeat("x", i%200))
}

// talk uses a connection until it breaks, no acknowledgement comes in time, or
// stop is closed.
func (p *peer) talk(c net.Conn, rnd *rand.Rand, stop <-chan struct{}) {
	acks := make(chan string, mostUnsure)
	go func() {
		defer close(acks)
		in := bufio.NewReader(c)
		for {
			id, err := readAck(in)
			if err != nil {
				return
			}
			acks <- id
		}
	}()
	defer func() {
		c.Close()
		for range acks { // to the end of the reader
		}
	}()
	var out []byte
	for _, m := range p.unsure {
		out = m.encode(out, p.name)
		p.resent.Add(1)
	}
	if _, err := c.Write(out); err != nil {
		return
	}
	patience := time.NewTimer(ackPatience)
	for {
		pause := time.NewTimer(between(rnd, time.Millisecond, 20*time.Millisecond))
		due := pause.C
		if len(p.unsure) >= mostUnsure {
			due = nil
		}
		select {
		case <-stop:
			return
		case id, ok := <-acks:
			if !ok {
				return
			}
			p.confirm(id)
			patience.Reset(ackPatience)
		case <-patience.C:
			if len(p.unsure) > 0 {
				return
			}
			patience.Reset(ackPatience)
		case <-due:
			m := p.message(rnd)
			p.unsure = append(p.unsure, m)
			out = m.encode(out[:0], p.name)
			half := len(out)
			if rnd.IntN(3) == 0 {
				half = rnd.IntN(len(out))
			}
			for _, part := range [][]byte{out[:half], out[half:]} {
				if _, err := c.Write(part); err != nil {
					return
				}
			}
		}
		pause.Stop()
	}
}

// confirm notes an acknowledgement.
func (p *peer) confirm(id string) {
	for i, m := range p.unsure {
		if m.id != id {
			continue
		}
		for n := m.first; n < m.last; n++ {
			p.acked(n)
		}
		p.unsure = append(p.unsure[:i], p.unsure[i+1:]...)
		return
	}
}

// readAck reads {"ack": id}.
func readAck(r *bufio.Reader) (string, error) {
	for n := 1; ; n++ {
		b, err := r.Peek(n)
		if err != nil {
			return "", err
		}
		v, _, err := event.Next(b)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			continue
		}
		if err != nil {
			return "", err
		}
		id, _ := v.Get("ack")
		text, ok := id.Str()
		if !ok {
			return "", fmt.Errorf("this is no acknowledgement: %x", b)
		}
		out := string(text)
		_, err = r.Discard(n)
		return out, err
	}
}
