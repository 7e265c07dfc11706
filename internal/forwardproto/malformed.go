package forwardproto

// Malformed says what is wrong with a message.
type Malformed struct {
	// Reason is for counters: a short lower-case phrase with underscores.
	Reason string
	// Text is for people.
	Text string
}

func (m *Malformed) Error() string { return m.Text }
