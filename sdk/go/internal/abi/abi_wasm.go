// Package abi reads and writes the words of the interfaces in memory, as the component model's canonical ABI lays them out:
// fields in their order, each at a multiple of its alignment.
package abi

import "unsafe"

// What the host wrote and what it will read; an instance ends after one call, so nothing is given back.
var pinned [][]uint64

// Allocate gives zeroed memory that the collector leaves alone. Every alignment of the ABI is 8 or less.
func Allocate(size uint32) uint32 {
	block := make([]uint64, (size+7)/8+1)
	pinned = append(pinned, block)
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(block))))
}

//go:wasmexport cabi_realloc
func realloc(old, oldSize, _, size uint32) uint32 {
	address := Allocate(size)
	copy(memory(address, size), memory(old, min(oldSize, size)))
	return address
}

func memory(address, size uint32) []byte {
	if size == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(address))), size)
}

// A Reader reads what the host wrote.
type Reader struct{ at uint32 }

// Read reads at an address.
func Read(address uint32) *Reader { return &Reader{address} }

func (r *Reader) next(size, align uint32) unsafe.Pointer {
	r.at = (r.at + align - 1) &^ (align - 1)
	field := unsafe.Pointer(uintptr(r.at))
	r.at += size
	return field
}

// Byte reads a u8, or which case a variant is.
func (r *Reader) Byte() uint8 { return *(*uint8)(r.next(1, 1)) }

// Truth reads a bool.
func (r *Reader) Truth() bool { return r.Byte() != 0 }

// U32 reads a u32.
func (r *Reader) U32() uint32 { return *(*uint32)(r.next(4, 4)) }

// U64 reads a u64.
func (r *Reader) U64() uint64 { return *(*uint64)(r.next(8, 8)) }

// Bytes reads a list<u8>. The memory is the policy's own.
func (r *Reader) Bytes() []byte {
	address, length := r.U32(), r.U32()
	return memory(address, length)
}

// Text reads a string.
func (r *Reader) Text() string {
	bytes := r.Bytes()
	return unsafe.String(unsafe.SliceData(bytes), len(bytes))
}

// Texts reads a list<string>.
func (r *Reader) Texts() []string { return List(r, 8, (*Reader).Text) }

// List reads a list of items of a size.
func List[T any](r *Reader, size uint32, item func(*Reader) T) []T {
	address, length := r.U32(), r.U32()
	items := make([]T, 0, length)
	for index := range length {
		items = append(items, item(Read(address+index*size)))
	}
	return items
}

// Option reads an option of an item of a size and alignment.
func Option[T any](r *Reader, size, align uint32, item func(*Reader) T) *T {
	some := r.Truth()
	place := Read(uint32(uintptr(r.next(size, align))))
	if !some {
		return nil
	}
	read := item(place)
	return &read
}

// Case reads a variant whose largest case has a size and alignment: which it is, and where its value lies. What is read
// of the value does not move the reader.
func (r *Reader) Case(size, align uint32) (uint8, *Reader) {
	which := r.Byte()
	return which, Read(uint32(uintptr(r.next(size, align))))
}

// A Writer writes what the host will read.
type Writer struct{ at uint32 }

// Write writes at an address.
func Write(address uint32) *Writer { return &Writer{address} }

func (w *Writer) next(size, align uint32) unsafe.Pointer { return (*Reader)(w).next(size, align) }

// Byte writes a u8, or which case a variant is.
func (w *Writer) Byte(value uint8) { *(*uint8)(w.next(1, 1)) = value }

// U32 writes a u32.
func (w *Writer) U32(value uint32) { *(*uint32)(w.next(4, 4)) = value }

// Text writes a string.
func (w *Writer) Text(text string) {
	address := Allocate(uint32(len(text)))
	copy(memory(address, uint32(len(text))), text)
	w.U32(address)
	w.U32(uint32(len(text)))
}

// Hint writes an option<string> that is none where the text is empty.
func (w *Writer) Hint(text string) {
	if text == "" {
		w.Byte(0)
		w.next(8, 4)
		return
	}
	w.Byte(1)
	w.Text(text)
}

// WriteList writes a list of items of a size.
func WriteList[T any](w *Writer, size uint32, items []T, item func(*Writer, T)) {
	address := Allocate(size * uint32(len(items)))
	for index, value := range items {
		item(Write(address+uint32(index)*size), value)
	}
	w.U32(address)
	w.U32(uint32(len(items)))
}

// TextAt reads a string that was given as two arguments.
func TextAt(address, length uint32) string {
	bytes := memory(address, length)
	return unsafe.String(unsafe.SliceData(bytes), len(bytes))
}
