package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/admin"
	"github.com/kagarilog/kagari/admin/view"
)

// statusFlags are those of status and top.
type statusFlags struct {
	url      string
	output   string
	interval time.Duration
	watch    bool
	top      bool
	check    bool
	count    int
}

func (p *program) statusCommand() *cobra.Command {
	f := statusFlags{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running router does, what waits and what was lost",
		Long: `Show what a running router does: its inputs, filters and outputs with their
rates, what waits to be delivered and for how long, the last errors, and what was
dropped or refused and why.

It asks the admin API, which the router must have: HTTP_Server On in the service
section, or the flag --http. The rates are those of the second in which the
command looks. A Fluent Bit is shown as far as it tells.`,
		Example: `  kagari status
  kagari status --url http://10.0.0.5:2020
  kagari status -o json | jq '.outputs[] | select(.backlog.oldest_event_seconds > 60)'
  kagari status --watch --interval 10s
  kagari status --check`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.watch && !cmd.Flags().Changed("interval") {
				f.interval = 2 * time.Second
			}
			return p.status(&f)
		},
	}
	f.add(cmd, time.Second)
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "form of the answer: text or json")
	cmd.Flags().BoolVar(&f.check, "check", false, "only say whether the router is ready, and end with 1 if it is not")
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on until Ctrl-C")
	cmd.MarkFlagsMutuallyExclusive("check", "watch")
	cmd.MarkFlagsMutuallyExclusive("check", "output")
	return cmd
}

func (p *program) topCommand() *cobra.Command {
	f := statusFlags{watch: true, top: true, output: "text"}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch a running router live, what is in trouble and what is busy first",
		Long: `Watch a running router live: what kagari status shows, drawn again every two
seconds, with what is in trouble and what is busy first. The key q or Ctrl-C
ends it, the space bar looks at once. Where the output is no terminal, the
pictures follow each other.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.status(&f) },
	}
	f.add(cmd, 2*time.Second)
	return cmd
}

func (f *statusFlags) add(cmd *cobra.Command, interval time.Duration) {
	cmd.Flags().StringVarP(&f.url, "url", "u", view.DefaultURL, "address of the admin API")
	cmd.Flags().DurationVarP(&f.interval, "interval", "i", interval, "time between two looks, over which rates are computed")
	cmd.Flags().IntVarP(&f.count, "count", "n", 0, "end after so many pictures; 0 goes on")
}

// shortestInterval keeps a mistyped interval from keeping the router busy.
const shortestInterval = 100 * time.Millisecond

func (p *program) status(f *statusFlags) error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("there is no form %q; there are text and json", f.output)
	}
	if f.interval < shortestInterval && (f.watch || f.interval != 0) {
		return fmt.Errorf("the interval %v is too short; the shortest is %v", f.interval, shortestInterval)
	}
	if f.count < 0 {
		return errors.New("the count must not be negative")
	}
	client, err := view.NewClient(f.url)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	first, err := client.Status(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case err != nil:
		return p.failed(err)
	case f.check:
		return p.checkReady(first)
	case f.watch || f.count > 1:
		return p.watch(ctx, f, client, first)
	}
	st := first
	if f.interval > 0 {
		select {
		case <-time.After(f.interval):
		case <-ctx.Done():
			return nil
		}
		// A router that ended meanwhile was there to be shown.
		if next, err := client.Status(ctx); err == nil {
			view.Rates(first, next)
			st = next
		}
	}
	if f.output == "json" {
		return p.printStatusJSON(st, true)
	}
	sc := view.Screen{Width: p.width(), Colour: isTerminal(p.out), Address: client.Address()}
	_, err = fmt.Fprintln(p.out, strings.Join(sc.Draw(st), "\n"))
	return err
}

// checkReady says whether the router is ready, for health checks of containers
// in which there is nothing else to ask with. A Fluent Bit has only its health.
func (p *program) checkReady(st *admin.Status) error {
	switch {
	case st.Ready != nil && st.Ready.Status != "ready":
		return p.failed(fmt.Errorf("not ready: %s", strings.Join(st.Ready.Reasons, "; ")))
	case st.Health == "error":
		return p.failed(errors.New("the health is: error"))
	}
	_, err := fmt.Fprintln(p.out, "ready")
	return err
}

func (p *program) printStatusJSON(st *admin.Status, indent bool) error {
	enc := json.NewEncoder(p.out)
	enc.SetEscapeHTML(false)
	if indent {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(st)
}

// watch shows the router again and again, on a terminal in place, until ctx
// ends, a key ends it, or nobody reads the output any more.
func (p *program) watch(ctx context.Context, f *statusFlags, client *view.Client, first *admin.Status) error {
	pic := p.takeTerminal(f.output == "text")
	defer pic.end()
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	last, shown := first, 0
	if f.interval > time.Second || pic.terminal {
		// Something is to be seen at once, even if it is without rates.
		if err := p.show(f, pic, client, last, nil); err != nil {
			return nil
		}
		shown++
	}
	for f.count == 0 || shown < f.count {
		select {
		case <-ctx.Done():
			return nil
		case key, ok := <-pic.keys:
			if !ok {
				pic.keys = nil // No more keys; a signal still ends it.
				continue
			}
			if slices.Contains([]byte{'q', 'Q', ctrlC, ctrlD}, key) {
				return nil
			}
			if key != ' ' {
				continue
			}
		case <-tick.C:
		}
		next, err := client.Status(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			view.Rates(last, next)
			last = next
		}
		if err := p.show(f, pic, client, last, err); err != nil {
			return nil // The reader is gone.
		}
		shown++
	}
	return nil
}

// The keys that a terminal in raw mode sends for Ctrl-C and Ctrl-D.
const (
	ctrlC = 3
	ctrlD = 4
)

// show shows one status. If the router did not answer, that is said above
// what was known last.
func (p *program) show(f *statusFlags, pic *picture, client *view.Client, st *admin.Status, missing error) error {
	trouble := ""
	if missing != nil {
		trouble, _, _ = strings.Cut(missing.Error(), "\n")
	}
	switch {
	case f.output == "json" && missing != nil, !pic.terminal && missing != nil:
		_, err := fmt.Fprintf(p.err, "kagari: %s\n", trouble)
		return err
	case f.output == "json":
		return p.printStatusJSON(st, false)
	}
	sc := view.Screen{Width: p.width(), Colour: isTerminal(p.out), Busiest: f.top, Address: client.Address()}
	if !pic.terminal {
		_, err := fmt.Fprintf(p.out, "--- %s\n%s\n\n", st.Time.Format(time.RFC3339), strings.Join(sc.Draw(st), "\n"))
		return err
	}
	sc.Height = p.height()
	lines := sc.Draw(st)
	if trouble != "" {
		lines = append([]string{view.Fit(trouble, sc.Width), fmt.Sprintf("This is how it was at %s:", st.Time.Local().Format(time.TimeOnly)), ""}, lines...)
		lines = lines[:min(len(lines), sc.Height)]
	}
	return pic.draw(lines)
}

// width is how wide a picture may be: that of the terminal, else COLUMNS, else
// 120, which no file and no pager minds.
func (p *program) width() int {
	if w, _ := terminalSize(p.out); w > 0 {
		return w
	}
	var n int
	if _, err := fmt.Sscan(os.Getenv("COLUMNS"), &n); err == nil && n > 0 {
		return n
	}
	return 120
}

func (p *program) height() int {
	if _, h := terminalSize(p.out); h > 0 {
		return h
	}
	return 24
}
