//! The heap of one evaluation: memory is handed out in a row and almost never
//! taken back.
//!
//! Every call runs in a fresh instance, so what is not freed is gone a few
//! microseconds later anyway. That makes allocating an addition, keeps the code
//! small, and keeps a usual evaluation inside its first 64 KiB. A policy that
//! allocates without end meets the host's memory limit, as it would with any
//! allocator, only sooner.

#![allow(unsafe_code, reason = "an allocator hands out raw memory; there is no safe way to write one")]

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};
use std::cell::Cell;
use std::ptr;

const PAGE_BYTES: usize = 64 * 1024;

struct Bump {
    /// Where the free memory begins; 0 before the first allocation.
    next: Cell<usize>,
    /// Where the memory ends.
    end: Cell<usize>,
}

// SAFETY: the contract has no threads; an instance is entered by one call.
unsafe impl Sync for Bump {}

#[global_allocator]
static HEAP: Bump = Bump { next: Cell::new(0), end: Cell::new(0) };

unsafe extern "C" {
    /// Set by the linker to the first byte behind stack and data.
    static __heap_base: u8;
}

impl Bump {
    /// Makes `end` the new beginning of the free memory. False where the host
    /// gives no more.
    #[inline]
    fn take_until(&self, end: usize) -> bool {
        if end > self.end.get() && !self.grow(end) {
            return false;
        }
        self.next.set(end);
        true
    }

    #[cold]
    fn grow(&self, end: usize) -> bool {
        let missing = end - self.end.get();
        if memory_grow(0, missing.div_ceil(PAGE_BYTES)) == usize::MAX {
            return false;
        }
        self.end.set(memory_size(0).saturating_mul(PAGE_BYTES));
        true
    }

    #[cold]
    fn begin(&self) {
        self.next.set(&raw const __heap_base as usize);
        self.end.set(memory_size(0).saturating_mul(PAGE_BYTES));
    }
}

// SAFETY: `next` only moves over memory that nobody holds: up past what is handed
// out, or back over the last block when its owner gives it up.
unsafe impl GlobalAlloc for Bump {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.next.get() == 0 {
            self.begin();
        }
        let start = self.next.get().wrapping_add(layout.align() - 1) & !(layout.align() - 1);
        match start.checked_add(layout.size()) {
            Some(end) if start >= self.next.get() && self.take_until(end) => {
                ptr::with_exposed_provenance_mut(start)
            }
            _ => ptr::null_mut(),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block as usize + layout.size() == self.next.get() {
            self.next.set(block as usize);
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == self.next.get() {
            // The last block grows and shrinks where it is.
            return match start.checked_add(size) {
                Some(end) if self.take_until(end) => block,
                _ => ptr::null_mut(),
            };
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller gave a valid size for this alignment.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks are handed out, do not overlap, and hold this much.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size()) };
        }
        new
    }
}
