package plugin

import "time"

// State is what a running instance says of itself in words and times; its
// numbers are metrics.
type State struct {
	Kind      Kind
	Name      string // its alias, or its plugin and a number: the label "name" of its metrics
	Plugin    string
	Condition Condition // of inputs
	Failure   Failure   // the last one
	// Oldest is when the oldest event arrived that an output has not got rid of
	// yet; zero if there is none.
	Oldest time.Time
}

// Failure is an error and when it was. It is not cleared by success.
type Failure struct {
	At   time.Time // zero: there was none
	Text string
}

// Condition says whether an input reads.
type Condition string

// The conditions of an input. One that failed is run again after a while; one
// that ended has read all that its source had.
const (
	ConditionStarting Condition = "starting"
	ConditionRunning  Condition = "running"
	ConditionFailed   Condition = "failed"
	ConditionEnded    Condition = "ended"
)

// Phase is where a router is in its life.
type Phase string

// The phases. A router that is stopping still delivers; during a reload the
// old one stops before the new one starts.
const (
	PhaseStarting Phase = "starting"
	PhaseRunning  Phase = "running"
	PhaseStopping Phase = "stopping"
)
