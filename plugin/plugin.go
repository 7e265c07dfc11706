package plugin

import (
	"context"
	"errors"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// Input brings events in.
type Input interface {
	// Run reads until ctx ends and everything it started has stopped. A nil
	// error before that means the source has ended for good, ErrStop that the
	// whole process should finish; any other error makes the engine log it and
	// run the input again after a back-off.
	Run(ctx context.Context, out Emitter) error
}

// Emitter takes events into the router.
type Emitter interface {
	// Emit takes ownership of b, also when it returns an error. It blocks while
	// budgets are used up, which is the back-pressure: the caller stops reading
	// its source meanwhile. The error is that of ctx; the events of b are then
	// not taken and its ack is never released.
	//
	// b.Ack is released once, when nobody needs the events any more. Emit may be
	// called from several goroutines.
	Emit(ctx context.Context, b *event.Batch) error
}

// Buffered is an optional ability of what Env.Emitter returns.
type Buffered interface {
	// Buffer, called in New, says how the emitter keeps events on their way: at
	// most memory bytes of them, where 0 is no limit of its own, and on disk if
	// filesystem is set. The error says that there is no place on disk.
	Buffer(memory int64, filesystem bool) error
}

// Filter shapes events on the goroutine of the input that emits them.
type Filter interface {
	// Filter edits b in place: changes, drops, adds. It keeps nothing of b. It
	// may be called from several goroutines at once, each with its own batch;
	// a filter with state locks it. On an error the batch goes on as it is.
	//
	// ctx is the one that the batch was emitted with, so that a filter that emits
	// can tell its own events when they come by: it puts a value into the context
	// that it emits with.
	Filter(ctx context.Context, b *event.Batch) error
}

// Output delivers chunks.
type Output interface {
	// Send delivers c, which is read-only, shared, and valid until Send
	// returns. nil means delivered. The engine retries the whole chunk after
	// any error except one made by Permanent (never again) or Partial (only
	// these events). ctx ends when the grace period is over. With more than one
	// worker Send is called from several goroutines.
	Send(ctx context.Context, c *event.Chunk) error
}

// Parser turns text into a record.
type Parser interface {
	// Parse sets the record of e, and its time if the text has one, and tells
	// whether the text fits; if not, e is as it was. It may alias line, which
	// must stay unchanged as long as e's batch lives. Safe for concurrent use.
	Parse(line []byte, e *event.Event) bool
}

// Starter is an optional ability of inputs, filters and outputs: Start is
// called once before the first use and may open files and connections. An
// error refuses the start of the process.
type Starter interface {
	Start(ctx context.Context) error
}

// Connected is what an Output may have that keeps connections to its
// destinations.
type Connected interface {
	// Connections is how many are open, idle or in use. It may be called at any
	// time.
	Connections() int
}

// Checker is an optional ability of filters and outputs that are Starters: Check
// tells what Start would fail for or log as an error, and leaves nothing open.
// `kagari check` calls it in place of Start.
type Checker interface {
	Check() error
}

// Runner is an optional ability of filters that hold events back, such as
// multiline: Run emits them when their time is up, until ctx ends; what is
// still held then is emitted before Run returns.
type Runner interface {
	Run(ctx context.Context, out Emitter) error
}

// ErrStop is returned by Input.Run to say that the process should flush and
// end, as tail does with Exit_On_Eof.
var ErrStop = errors.New("the input asks the process to end")

// Kind is what a plugin does.
type Kind uint8

// The kinds of plugins. A Processor implements Filter but can be named only in
// the processors of a YAML configuration; every filter can stand there too.
const (
	KindInput Kind = iota
	KindFilter
	KindOutput
	KindProcessor
)

// String gives the kind as written in section names.
func (k Kind) String() string {
	return [...]string{"input", "filter", "output", "processor"}[k]
}

// Def describes a plugin.
type Def struct {
	Kind    Kind
	Name    string
	Aliases []string
	Summary string // one line, no full stop
	Doc     string // Markdown, usually embedded from doc.md

	// Config returns a new configuration with its defaults, which implements
	// InputConfig, FilterConfig or OutputConfig according to Kind.
	Config func() Config

	// Push says of an input that its source does not keep the data, as a socket
	// does not: at shutdown it stays open until it is quiet.
	Push bool
	// Hidden keeps a plugin out of lists: it is for internal use.
	Hidden bool
	// Metrics says of an output that it takes chunks of metrics too.
	Metrics bool
	// Concurrency says of an output how many chunks of different tags are sent
	// at once where the Workers option is not given; 0 means one. Chunks of one
	// tag stay in order.
	Concurrency int
}

// Config is the options of one plugin instance.
type Config interface {
	// Fields binds the options to the receiver and resets it to the defaults.
	Fields() []option.Field
}

// InputConfig makes an input.
type InputConfig interface {
	Config
	New(env *Env) (Input, error)
}

// FilterConfig makes a filter or processor.
type FilterConfig interface {
	Config
	New(env *Env) (Filter, error)
}

// OutputConfig makes an output.
type OutputConfig interface {
	Config
	New(env *Env) (Output, error)
}
