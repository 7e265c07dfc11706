package plugin

import "time"

// PermanentError says that sending the chunk again cannot help.
type PermanentError struct{ Err error }

// Permanent wraps err so that the engine does not retry.
func Permanent(err error) error { return &PermanentError{err} }

func (e *PermanentError) Error() string { return e.Err.Error() }
func (e *PermanentError) Unwrap() error { return e.Err }

// PartialError says that some events of a chunk were not delivered.
type PartialError struct {
	Err error
	// Retry holds the indexes of events to send again, rising.
	Retry []int
	// Rejected holds the indexes of events that the destination will never
	// take, rising.
	Rejected []int
}

// Partial wraps err for the events with the given indexes, which rise; the
// others were delivered, and these are sent again.
func Partial(err error, retry []int) error { return &PartialError{Err: err, Retry: retry} }

func (e *PartialError) Error() string { return e.Err.Error() }
func (e *PartialError) Unwrap() error { return e.Err }

// Of returns the error of a chunk of count events for which e was collected: e
// itself, nil where no event failed, and Err or a permanent one where all
// events failed alike.
func (e *PartialError) Of(count int) error {
	switch {
	case e.Err == nil:
		return nil
	case len(e.Retry) == count:
		return e.Err
	case len(e.Rejected) == count:
		return Permanent(e.Err)
	}
	return e
}

// RetryAfterError says when the destination wants to be asked again.
type RetryAfterError struct {
	Err   error
	After time.Duration
}

// RetryAfter wraps err with the destination's wish for the delay.
func RetryAfter(err error, after time.Duration) error { return &RetryAfterError{err, after} }

func (e *RetryAfterError) Error() string { return e.Err.Error() }
func (e *RetryAfterError) Unwrap() error { return e.Err }
