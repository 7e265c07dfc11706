package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/parser/multiline"
	"github.com/kagarilog/kagari/plugin"
)

// Options is what the process gives to an engine beside its configuration.
type Options struct {
	Handler *logging.Handler
	Version string
	// MemoryLimit is what the process may use, in bytes; 0 if unknown. Records on
	// their way take at most half of it.
	MemoryLimit int64
	// Stdout is where stream tasks print; os.Stdout if nil.
	Stdout io.Writer
	// Check makes errors of mistakes that do not stop a start, such as those in the
	// statement of a stream task.
	Check bool
}

// forever is the grace period of a service that waits without end.
const forever = 100 * 365 * 24 * time.Hour

// The budgets where the configuration says nothing. They are small because a
// source that waits loses nothing, while memory beyond what the outputs need
// to stay busy buys nothing.
const (
	defaultInputMemory   = 16 << 20
	defaultProcessMemory = 32 << 20
	// That of Fluent Bit for storage.max_chunks_up, if it is 0.
	defaultChunksUp = 128
)

// New builds the graph and validates every plugin; nothing is opened or
// started. The problems hold all that is wrong; the engine is nil if one of
// them is an error.
func New(cfg *config.Config, reg *plugin.Registry, opts Options) (*Engine, option.Problems) {
	svc := cfg.Service
	e := &Engine{
		log:       opts.Handler.Named("engine", nil),
		logs:      opts.Handler,
		service:   svc,
		flush:     svc.Flush,
		grace:     svc.Grace,
		epoch:     time.Now(),
		version:   opts.Version,
		retryBase: max(svc.SchedulerBase, time.Millisecond),
		retryCap:  max(svc.SchedulerCap, svc.SchedulerBase, time.Millisecond),
		stopping:  make(chan struct{}),
		idle:      make(chan struct{}, 1),
		stdout:    opts.Stdout,
	}
	if e.stdout == nil {
		e.stdout = os.Stdout
	}
	if svc.Grace < 0 {
		e.grace = forever
	}
	if name, err := os.Hostname(); err == nil {
		e.hostname = name
	}
	if svc.Storage.Path != "" {
		e.dir = buffer.New(svc.Storage.Path, svc.Storage.Sync == "full")
		if svc.Storage.KeepRejected {
			e.keepLetters(&svc.Storage)
		}
	}
	b := &builder{engine: e, cfg: cfg, reg: reg, opts: opts, count: map[plugin.Kind]int{}, parsers: map[string]plugin.Parser{}, multiline: map[string]*multiline.Parser{}, names: map[string]option.Pos{}}
	b.build()
	cfg.Sources.Place(b.problems)
	e.again = func() (*Engine, error) {
		e, ps := New(cfg, reg, opts)
		return e, ps.Err()
	}
	e.memory.limit = b.processMemory()
	chunksUp := int64(svc.Storage.MaxChunksUp)
	if chunksUp <= 0 {
		chunksUp = defaultChunksUp
	}
	// What is on disk can be read again, so less of it is kept in memory.
	e.up.limit = min(chunksUp*chunkLimit, e.memory.limit/2)
	e.fresh.limit = chunksUp
	e.backlog.limit = svc.Storage.BacklogMemLimit
	if b.problems.HasErrors() {
		return nil, b.problems
	}
	return e, b.problems
}

// builder makes the parts of one engine.
type builder struct {
	engine    *Engine
	cfg       *config.Config
	reg       *plugin.Registry
	opts      Options
	problems  option.Problems
	parsers   map[string]plugin.Parser
	multiline map[string]*multiline.Parser // by name in lower case
	count     map[plugin.Kind]int          // instances so far; their numbers run over all plugins of a kind
	names     map[string]option.Pos        // of instances, with their kind in front
	// incomplete says that an instance was refused, so that what refers to it is
	// not at fault.
	incomplete bool
	asked      int64 // sum of the Mem_Buf_Limits that were given
}

func (b *builder) problem(sev option.Severity, pos option.Pos, section, format string, args ...any) {
	b.problems = append(b.problems, option.Problem{Severity: sev, Pos: pos, Section: section, Message: fmt.Sprintf(format, args...)})
}

func (b *builder) build() {
	for _, sec := range b.cfg.Parsers {
		p, problems := parser.New("", sec.Props, sec.Pos)
		b.problems = append(b.problems, problems...)
		if p != nil {
			b.addParser(p)
		}
	}
	b.multilineParsers()
	b.serviceWithoutEffect()
	for _, inst := range b.cfg.Inputs {
		b.input(inst)
	}
	for _, inst := range b.cfg.Filters {
		b.filter(inst)
	}
	for _, inst := range b.cfg.Outputs {
		b.output(inst)
	}
	b.streamTasks()
	b.routes()
}

// id names an instance without an alias. Numbers run over all plugins of a
// kind; processors have none.
func (b *builder) id(kind plugin.Kind, inst *config.Instance) string {
	n := b.count[kind]
	b.count[kind]++
	return fmt.Sprintf("%s.%d", strings.ToLower(inst.Name), n)
}

// instance looks the plugin up, decodes its options beside the common ones and
// makes its environment. It returns nil after an error.
func (b *builder) instance(kind plugin.Kind, inst *config.Instance, common []option.Field) (*plugin.Def, plugin.Config, *plugin.Env) {
	if b.opts.Check && inst.Refused() {
		b.incomplete = true
		return nil, nil, nil
	}
	def, ok := b.reg.Lookup(kind, inst.Name)
	if !ok {
		b.incomplete = true
		b.problems = append(b.problems, option.Problem{Pos: inst.Pos, Section: kind.String(),
			Message: fmt.Sprintf("there is no %s plugin %q", kind, inst.Name), Fix: b.reg.Suggest(kind, inst.Name)})
		return nil, nil, nil
	}
	pc := def.Config()
	ps := inst.Decode(common, pc.Fields())
	b.problems = append(b.problems, ps...)
	env := &plugin.Env{
		Parser:    b.parser,
		Multiline: b.multilineParser,
		Stop:      b.engine.Stop,
		Stats:     &plugin.Stats{},
		Dir:       b.cfg.Dir,
		Metrics:   b.engine.Metrics,
		Sections:  b.cfg.ReadSections,
		Service: plugin.Service{Flush: b.cfg.Service.Flush, Grace: b.cfg.Service.Grace, Version: b.opts.Version,
			EscapeUnicode: b.cfg.Service.EscapeUnicode, MultilineBufferLimit: b.cfg.Service.MultilineBufferLimit},
	}
	if ps.HasErrors() {
		b.incomplete = true
		return def, nil, env
	}
	return def, pc, env
}

func (b *builder) addParser(p *parser.Parser) {
	p.SetLog(b.opts.Handler.Named("parser:"+p.Name(), nil))
	b.parsers[p.Name()] = p
	b.engine.parsers = append(b.engine.parsers, p)
}

// parser returns the parser of the configuration that has the name, or else the
// built-in one.
func (b *builder) parser(name string) (plugin.Parser, error) {
	if p, ok := b.parsers[name]; ok {
		return p, nil
	}
	if p := parser.NewBuiltin(name); p != nil {
		b.addParser(p)
		return p, nil
	}
	known := parser.BuiltinNames()
	for n := range b.parsers {
		known = append(known, n)
	}
	for _, sec := range b.cfg.Parsers {
		if slices.ContainsFunc(sec.Props, func(p option.Property) bool { return p.Key == "name" && p.Value.Text == name }) {
			return nil, fmt.Errorf("the parser %q has mistakes", name)
		}
	}
	err := fmt.Errorf("there is no parser %q", name)
	if hint := option.DidYouMean(name, known); hint != "" {
		err = fmt.Errorf("%w; %s", err, hint)
	}
	return nil, err
}

// create calls New of a plugin. A panic must not end the process, which may
// have a good configuration at work.
func create[T any](b *builder, inst *config.Instance, env *plugin.Env, newInstance func(*plugin.Env) (T, error)) (made T, err error) {
	log, done := b.remarked(inst, env.Log)
	defer done()
	env.Log = log
	err = protect(func() (err error) {
		made, err = newInstance(env)
		if c, ok := any(made).(plugin.Checker); ok && err == nil && b.opts.Check {
			err = c.Check()
		}
		return err
	})
	return made, err
}

// name makes the name of an instance unlike all others of its kind: metrics
// and stored chunks go by it.
func (b *builder) name(inst *config.Instance, env *plugin.Env) {
	wanted := env.ID
	for n := 2; ; n++ {
		key := inst.Kind.String() + " " + env.ID
		first, taken := b.names[key]
		if !taken {
			b.names[key] = inst.Pos
			return
		}
		if n == 2 {
			b.problems = append(b.problems, option.Problem{Severity: option.Warning, Pos: inst.Pos, Section: inst.Title(), Key: "alias",
				Message: fmt.Sprintf("the alias %q is also that of the %s at %s", wanted, inst.Kind, first)})
		}
		env.ID = fmt.Sprintf("%s.%d", wanted, n)
	}
}

// fail reports what New of a plugin said: each error at the option that it is
// about, if it says so.
func (b *builder) fail(kind plugin.Kind, inst *config.Instance, err error) {
	b.incomplete = true
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range several.Unwrap() {
			b.fail(kind, inst, err)
		}
		return
	}
	p := option.Problem{Pos: inst.Pos, Section: kind.String() + " " + inst.Name, Message: err.Error()}
	p.PlaceIn(err)
	var at *option.KeyError
	if errors.As(err, &at) {
		p.Key = at.Key
		if prop, ok := inst.Where(b.fields(inst), at.Key, cmp.Or(at.Text, p.Within)); ok {
			p.Key, p.Pos = prop.Key, prop.Value.Pos
		} else {
			p.Within = ""
		}
	}
	var file *option.FileError
	if errors.As(err, &file) {
		p.Pos, p.Line, p.Within = file.Pos(), file.Line(), ""
	}
	b.problems = append(b.problems, p)
}

// fields are the options of an instance's plugin, without those that all have.
func (b *builder) fields(inst *config.Instance) []option.Field {
	def, ok := b.reg.Lookup(inst.Kind, inst.Name)
	if !ok {
		return nil
	}
	return def.Config().Fields()
}

// logger gives an instance its logger, with its own level if it asks for one.
func (b *builder) logger(kind plugin.Kind, name, id, level string) *slog.Logger {
	var own slog.Leveler
	if l, ok := logging.ParseLevel(level); ok {
		own = l
	}
	return b.opts.Handler.Named(fmt.Sprintf("%s:%s:%s", kind, name, id), own)
}

func (b *builder) source(id, pluginName string) *source {
	s := &source{engine: b.engine, id: id, plugin: pluginName, defaultTag: id, open: map[openKey]*open{}}
	s.memory.limit = defaultInputMemory
	return s
}

func (b *builder) input(inst *config.Instance) {
	var common config.InputOptions
	id := b.id(plugin.KindInput, inst)
	def, pc, env := b.instance(plugin.KindInput, inst, common.Fields())
	if def == nil || pc == nil {
		return
	}
	env.ID = id
	s := b.source(env.ID, def.Name)
	env.Tag, env.DefaultTag = common.Tag, env.ID
	if common.Alias != "" {
		env.ID = common.Alias
	}
	b.name(inst, env)
	s.id, s.name = env.ID, id
	s.unroutable = !common.Routable
	if common.Tag != "" {
		s.defaultTag = common.Tag
	}
	if common.MemBufLimit > 0 {
		s.memory.limit = common.MemBufLimit
		b.asked += common.MemBufLimit
	}
	env.Log = b.logger(def.Kind, def.Name, env.ID, common.LogLevel)
	s.log = env.Log
	b.inputWithoutEffect(inst, &common)
	if b.stores(&common) {
		s.filesystem = b.engine.dir != nil
		if !s.filesystem {
			b.problem(option.Error, inst.Pos, "input "+inst.Name, "storage.type filesystem needs storage.path in the service section")
		}
	}
	s.frugal = s.filesystem && common.PauseOnChunksOverlimit
	in, err := create(b, inst, env, pc.(plugin.InputConfig).New)
	if err != nil {
		b.fail(plugin.KindInput, inst, err)
		return
	}
	s.processors = b.processors(inst, env.ID)
	b.engine.inputs = append(b.engine.inputs, &input{source: s, in: in, inst: inst, push: def.Push, env: env})
}

func (b *builder) filter(inst *config.Instance) {
	var common config.FilterOptions
	id := b.id(plugin.KindFilter, inst)
	def, pc, env := b.instance(plugin.KindFilter, inst, common.Fields())
	if def == nil || pc == nil {
		return
	}
	env.ID = id
	if !common.Active {
		return
	}
	if !common.HasMatch && common.MatchRegex == "" {
		b.problem(option.Error, inst.Pos, "filter "+inst.Name, "neither match nor match_regex says which records the filter is for; use match * for all")
		return
	}
	pat, err := newPattern(common.Match, common.MatchRegex)
	if err != nil {
		b.fail(plugin.KindFilter, inst, err)
		return
	}
	if common.Alias != "" {
		env.ID = common.Alias
	}
	b.name(inst, env)
	env.Log = b.logger(def.Kind, def.Name, env.ID, common.LogLevel)
	env.Match = pat.matches
	emitter := b.emitter(env)
	f, err := create(b, inst, env, pc.(plugin.FilterConfig).New)
	if err == nil {
		err = b.unique(emitter)
	}
	if err != nil {
		b.fail(plugin.KindFilter, inst, err)
		return
	}
	b.engine.filters = append(b.engine.filters, &step{id: env.ID, plugin: def.Name, filter: f, pattern: pat, log: env.Log, env: env, emitter: emitter})
}

func (b *builder) output(inst *config.Instance) {
	var common config.OutputOptions
	id := b.id(plugin.KindOutput, inst)
	def, pc, env := b.instance(plugin.KindOutput, inst, common.Fields())
	if def == nil || pc == nil {
		return
	}
	env.ID = id
	if _, given := inst.Get("match"); !given && common.MatchRegex == "" && b.onlyPair() {
		common.Match = "*"
	}
	pat, err := newPattern(common.Match, common.MatchRegex)
	if err != nil {
		b.fail(plugin.KindOutput, inst, err)
		return
	}
	if common.Alias != "" {
		env.ID = common.Alias
	}
	b.name(inst, env)
	env.Log = b.logger(def.Kind, def.Name, env.ID, common.LogLevel)
	out, err := create(b, inst, env, pc.(plugin.OutputConfig).New)
	if err != nil {
		b.fail(plugin.KindOutput, inst, err)
		return
	}
	s := &sink{engine: b.engine, id: env.ID, name: id, alias: common.Alias, plugin: def.Name, out: out, pattern: pat, log: env.Log, env: env,
		workers: max(common.Workers, 1), serial: common.Workers <= 1, retryLimit: common.RetryLimit, metrics: def.Metrics,
		waiting: map[*delivery]struct{}{}, sending: map[*delivery]struct{}{}, busy: map[string]bool{}}
	if common.Workers <= 0 && def.Concurrency > 1 {
		s.workers = def.Concurrency
	}
	s.more = sync.NewCond(&s.mu)
	b.outputWithoutEffect(inst, &common)
	b.quota(inst, s, &common)
	s.processors = b.processors(inst, env.ID)
	b.engine.sinks = append(b.engine.sinks, s)
}

// onlyPair tells whether there is nothing but one input and one output, which
// Fluent Bit connects without a Match. Storage adds an input of its own there.
func (b *builder) onlyPair() bool {
	return len(b.cfg.Inputs) == 1 && len(b.cfg.Outputs) == 1 && b.cfg.Service.Storage.Path == ""
}

// processors builds what stands in an instance's processors section for logs.
// Those for metrics and traces are only checked.
func (b *builder) processors(inst *config.Instance, owner string) []*step {
	var steps []*step
	for i, p := range inst.Processors {
		kind, problem := p.Resolve(b.reg, inst.Title())
		if problem != nil {
			b.problems = append(b.problems, *problem)
			continue
		}
		own := p.Instance(kind)
		var common config.FilterOptions
		def, pc, env := b.instance(kind, own, common.ProcessorFields(kind))
		if def == nil || pc == nil {
			continue
		}
		if p.Signal != "logs" {
			b.problem(option.Warning, p.Pos, inst.Title(), "processors for %s are not part of this version; %s does not run, and the %s stay as they are", p.Signal, p.Name, p.Signal)
			continue
		}
		env.ID = fmt.Sprintf("%s.processor.%d.%s", owner, i, p.Name)
		env.Log = b.logger(def.Kind, def.Name, env.ID, common.LogLevel)
		emitter := b.emitter(env)
		f, err := create(b, own, env, pc.(plugin.FilterConfig).New)
		if err != nil {
			b.fail(kind, own, err)
			continue
		}
		st := &step{id: env.ID, plugin: def.Name, filter: f, log: env.Log, env: env, emitter: emitter,
			owner: owner, scope: inst.Kind.String(), stage: i}
		if p.Condition != nil {
			var bad *option.Problem
			if st.condition, bad = newCondition(p.Condition, env.Log); bad != nil {
				bad.Section = own.Title()
				b.problems = append(b.problems, *bad)
				continue
			}
		}
		steps = append(steps, st)
	}
	for _, st := range steps {
		st.emitter.unbounded = inst.Kind == plugin.KindOutput
	}
	if inst.Kind == plugin.KindInput {
		// What a processor of an input emits passes the ones behind it.
		for i, st := range steps {
			st.emitter.processors = steps[i+1:]
		}
	}
	return steps
}

// processMemory is the budget of records in memory for the whole process.
func (b *builder) processMemory() int64 {
	limit := max(int64(defaultProcessMemory), b.asked)
	if b.opts.MemoryLimit > 0 && b.opts.MemoryLimit < math.MaxInt64 {
		limit = min(limit, b.opts.MemoryLimit/2)
	}
	return limit
}
