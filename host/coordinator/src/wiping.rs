//! The allocator of the coordinator: what it gets back is wiped before anybody else gets it.
//!
//! Our own types wipe secrets when they are dropped ([`carrara_types::secret`]). This is for the copies that are not ours:
//! buffers of TLS, HTTP, JSON and gRPC, and what a growing vector leaves behind. It does not reach stacks, registers and
//! what is still in use. Decision 0011 says what it costs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

/// The system's allocator, wiping.
#[derive(Debug)]
pub(crate) struct Wiping;

// SAFETY: every call is the system allocator's with the same arguments; a block is written to only between its last use by
// the caller and its return to the system. `realloc` is the default one: a new block, a copy, and the old one wiped.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above. Fresh pages are zero already, and stay untouched.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up a block of this layout that came from `alloc`: nobody else reads or writes it, and it
        // is `layout.size()` bytes long. The compiler must take it for read, else it would leave the writing out.
        unsafe {
            block.write_bytes(0, layout.size());
            System.dealloc(black_box(block), layout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_grows_keeps_what_it_holds_and_its_alignment() {
        for align in [1, 16, 4096] {
            let layout = Layout::from_size_align(100, align).unwrap();
            // SAFETY: the layout is not empty; the block is used within its size and returned with its last layout.
            #[allow(unsafe_code)]
            unsafe {
                let block = Wiping.alloc_zeroed(layout);
                assert!((0..100).all(|at| *block.add(at) == 0));
                block.write_bytes(7, 100);
                let grown = Wiping.realloc(block, layout, 5000);
                assert!(grown.addr().is_multiple_of(align) && (0..100).all(|at| *grown.add(at) == 7));
                Wiping.dealloc(grown, Layout::from_size_align(5000, align).unwrap());
            }
        }
    }
}
