//go:build !wasm

// Package policytest is for a policy's own tests, which run natively.
package policytest

import "carrara.dev/policy/internal/lines"

// Logged runs a function and gives what it wrote to the coordinator's log, as LEVEL: text. Not for tests that run in
// parallel: there is one log.
func Logged(work func()) []string { return lines.Capture(work) }
