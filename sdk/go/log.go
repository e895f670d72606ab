package policy

import "carrara.dev/policy/internal/lines"

// Debug writes a line for whoever looks for a fault to the coordinator's log, tied to the request. The caller never sees it.
// The coordinator bounds lines: by default 32 a call, 1024 bytes each; a policy that writes more lines is ended.
func Debug(text string) { lines.Write(lines.Debug, text) }

// Info writes a line to the coordinator's log.
func Info(text string) { lines.Write(lines.Info, text) }

// Warn writes a line that somebody should look at to the coordinator's log.
func Warn(text string) { lines.Write(lines.Warn, text) }
