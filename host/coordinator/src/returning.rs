//! Memory goes back to the system when it is freed: after many large bodies the process is as small as before.
//!
//! Without this glibc raises the size from which it asks the system for each allocation by itself, up to 32 MiB, as soon as one such
//! is freed; what is smaller stays with the process for as long as anything beside it lives.
#![allow(unsafe_code)]

/// From this size on an allocation is the system's own and given back at once.
#[cfg(target_env = "gnu")]
const OWN_BYTES: i32 = 1 << 20;

/// mallopt(3).
#[cfg(target_env = "gnu")]
const M_MMAP_THRESHOLD: i32 = -3;

/// The same.
#[cfg(all(target_env = "gnu", feature = "enclave"))]
const M_ARENA_MAX: i32 = -8;

/// Each arena sets 64 MiB of address space aside, and there are eight for each processor unless somebody says otherwise.
#[cfg(all(target_env = "gnu", feature = "enclave"))]
const ARENAS: i32 = 2;

/// The same.
#[cfg(all(target_env = "gnu", feature = "enclave"))]
const M_TRIM_THRESHOLD: i32 = -1;

/// How much is kept at an arena's end: the memories of some built-in policies, which come and go with each call.
#[cfg(all(target_env = "gnu", feature = "enclave"))]
const KEPT_BYTES: i32 = 2 << 20;

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    fn mallopt(parameter: i32, value: i32) -> i32;
}

/// Fixes the size; in an enclave also how many arenas there are. Where the C library is another one, nothing is to be done.
pub(crate) fn large_allocations() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two numbers and changes nothing but the allocator's settings; it is called before there are threads.
    unsafe {
        mallopt(M_MMAP_THRESHOLD, OWN_BYTES);
        #[cfg(feature = "enclave")]
        {
            mallopt(M_ARENA_MAX, ARENAS);
            mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
        }
    }
}
