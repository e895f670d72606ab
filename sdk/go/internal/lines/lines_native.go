//go:build !wasm

package lines

import "sync"

var (
	mutex    sync.Mutex
	captures [][]string
)

// Write keeps a line for the innermost capture; there is nobody else to read it.
func Write(level int, text string) {
	mutex.Lock()
	defer mutex.Unlock()
	if last := len(captures) - 1; last >= 0 {
		captures[last] = append(captures[last], []string{"DEBUG: ", "INFO: ", "WARN: "}[level]+text)
	}
}

// Capture gives what a function writes.
func Capture(work func()) []string {
	mutex.Lock()
	captures = append(captures, nil)
	mutex.Unlock()
	defer func() {
		mutex.Lock()
		defer mutex.Unlock()
		captures = captures[:len(captures)-1]
	}()
	work()
	mutex.Lock()
	defer mutex.Unlock()
	return captures[len(captures)-1]
}
