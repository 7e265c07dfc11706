package multiline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// ledger knows which texts were delivered. Texts have their number in angle
// brackets.
type ledger struct {
	t         *testing.T
	mu        sync.Mutex
	delivered map[int]int // how often, by number
	acked     int
	wrong     int // acks that came too early
}

var number = regexp.MustCompile(`<(\d+)>`)

// deliver frees b after its texts have arrived.
func (l *ledger) deliver(b *event.Batch) {
	l.mu.Lock()
	for i := range b.Events {
		text, _ := b.Events[i].Get("log")
		for _, m := range number.FindAllSubmatch(text, -1) {
			n, _ := strconv.Atoi(string(m[1]))
			l.delivered[n]++
		}
	}
	l.mu.Unlock()
	b.Free()
}

// ack returns an ack that wants the texts to be delivered before it is released.
func (l *ledger) ack(texts []int) *event.Ack {
	return event.NewAck(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.acked++
		for _, n := range texts {
			if l.delivered[n] == 0 {
				l.wrong++
			}
		}
	})
}

// slow is an emitter that delivers a while later.
type slow struct {
	*ledger
	wg sync.WaitGroup
}

func (s *slow) Emit(_ context.Context, b *event.Batch) error {
	s.wg.Go(func() {
		time.Sleep(rand.N(time.Second))
		s.deliver(b)
	})
	return nil
}

// Whatever comes in whatever order, every text goes on once, and no ack is
// released before the texts of its batch are delivered.
func TestNothingIsLostOrAcknowledgedEarly(t *testing.T) {
	f := func(name string, record func(n int) string, keysAndValues ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{t: t, delivered: map[int]int{}}
				out := &slow{ledger: l}
				env := plugintest.Env(t)
				env.Emitter = func(string) plugin.Emitter { return out }
				filter := plugintest.NewFilter(t, Def(), env, keysAndValues...)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- filter.(plugin.Runner).Run(ctx, out) }()

				const sources, batches, most = 4, 150, 6
				var all sync.WaitGroup
				for source := range sources {
					all.Go(func() {
						n := source * batches * most
						for range batches {
							b := event.NewBatch(fmt.Sprint("tag", rand.N(3)))
							b.Source = fmt.Sprint("source", source/2) // two of them have the same
							var texts []int
							for range 1 + rand.N(most) {
								b.Add(base).SetRecord(plugintest.Value(t, record(n)))
								texts = append(texts, n)
								n++
							}
							b.Ack = l.ack(texts)
							if err := filter.Filter(t.Context(), b); err != nil {
								t.Error(err)
							}
							time.Sleep(rand.N(300 * time.Millisecond))
							l.deliver(b)
						}
					})
				}
				all.Wait()
				if rand.N(2) == 0 {
					time.Sleep(rand.N(5 * time.Second))
				}
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				out.wg.Wait()
				total := 0
				for n, times := range l.delivered {
					if total++; times != 1 {
						t.Errorf("text %d came %d times", n, times)
					}
				}
				if total < sources*batches {
					t.Errorf("only %d texts came", total)
				}
				if l.wrong > 0 {
					t.Errorf("%d texts were acknowledged before they were delivered", l.wrong)
				}
				if l.acked != sources*batches {
					t.Errorf("%d batches were acknowledged, want %d", l.acked, sources*batches)
				}
			})
		})
	}
	docker := func(n int) string {
		text := fmt.Sprintf("<%d>", n)
		switch rand.N(10) {
		case 0:
			return line(n, text)
		case 1:
			return fmt.Sprintf(`{"log":%q,"partial_message":"true"}`, text)
		}
		return part(fmt.Sprint("id", rand.N(4)), rand.N(3), rand.N(3) == 0, text)
	}
	f("partial_message", docker, "mode", "partial_message", "multiline.key_content", "log", "flush_ms", "1000")
	f("partial_message, little memory", docker, "mode", "partial_message", "multiline.key_content", "log", "emitter_mem_buf_limit", "2000")
	java := func(n int) string {
		switch rand.N(4) {
		case 0:
			return line(n, fmt.Sprintf("<%d>", n))
		case 1:
			return line(n, fmt.Sprintf("java.lang.RuntimeException: <%d>", n))
		}
		return line(n, fmt.Sprintf("    at a.b(<%d>)", n))
	}
	f("parser", java, "multiline.parser", "java", "multiline.key_content", "log", "flush_ms", "1000")
	f("parser, little memory", java, "multiline.parser", "java", "multiline.key_content", "log", "emitter_mem_buf_limit", "2000")
	f("parser, unbuffered", java, "multiline.parser", "java", "multiline.key_content", "log", "buffer", "off")
	groups := func(n int) string {
		end := ""
		if rand.N(3) == 0 {
			end = "\n"
		}
		return fmt.Sprintf(`{"log":%q,"stream":"%d"}`, fmt.Sprintf("<%d>%s", n, end), rand.N(4))
	}
	f("parser with groups", groups, "multiline.parser", "docker", "multiline.key_content", "log", "flush_ms", "1000")
}
