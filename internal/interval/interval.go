// Package interval is what inputs share that look at something again and again:
// the options interval_sec and interval_nsec, and the loop.
package interval

import (
	"context"
	"time"

	"github.com/kagarilog/kagari/option"
)

// Options is the time between two looks.
type Options struct {
	Sec  int
	Nsec int
}

// Fields binds the options with the default of one second.
func (o *Options) Fields() []option.Field {
	return []option.Field{
		option.Int(&o.Sec, "interval_sec", 1,
			"Seconds between two reads.").WithUnit("seconds"),
		option.Int(&o.Nsec, "interval_nsec", 0,
			"Nanoseconds to be added to interval_sec. If both are zero or less, the interval is one second.").WithUnit("nanoseconds"),
	}
}

// Duration returns the time between two looks, which is never zero.
func (o *Options) Duration() time.Duration {
	d := option.Times(max(0, o.Sec), time.Second) + option.Times(max(0, o.Nsec), 1)
	if d <= 0 {
		return time.Second
	}
	return d
}

// Run calls f every d, for the first time after d, until ctx ends or f returns
// an error. A call that takes longer than d delays the next and is not made up
// for. The error is that of f, nil if ctx had ended then.
func Run(ctx context.Context, d time.Duration, f func() error) error {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := f(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}
