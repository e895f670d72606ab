// Package lines brings lines to the coordinator's log, and in native tests to the test.
package lines

// How much a line matters.
const (
	Debug = iota
	Info
	Warn
)
