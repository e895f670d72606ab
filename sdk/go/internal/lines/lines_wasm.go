package lines

import (
	"runtime"
	"unsafe"
)

//go:wasmimport carrara:policy/host@1.0.0 log
func log(level uint32, text unsafe.Pointer, length uint32)

// Write writes a line.
func Write(level int, text string) {
	log(uint32(level), unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
	runtime.KeepAlive(text)
}
