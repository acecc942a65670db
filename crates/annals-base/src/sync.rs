//! The atomics, locks and numbers of threads that the protocols use: the real ones, or loom's under loom.

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

#[cfg(not(loom))]
pub(crate) use crate::locks::{Condvar, Mutex};
#[cfg(not(loom))]
pub(crate) use std::sync::MutexGuard;

#[cfg(not(loom))]
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard)
}

#[cfg(loom)]
pub(crate) use of_loom::{Condvar, Mutex, wait};

/// Loom's locks with the interface of `locks`.
#[cfg(loom)]
mod of_loom {
    use loom::sync::{self, MutexGuard};
    use std::sync::PoisonError;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    pub(crate) use sync::Condvar;

    pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(not(loom))]
thread_local! {
    static HERE: u8 = const { 0 };
}

/// Returns a number that no other living thread has. It is not 0. It works while a thread ends, too: in the destructor
/// of a thread-local value.
#[cfg(not(loom))]
#[inline]
#[must_use]
pub fn this_thread() -> usize {
    // The address of a thread-local value that has no destructor, and so is there as long as its thread is.
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

#[cfg(loom)]
loom::thread_local! {
    static HERE: usize = {
        // Not loom's: which number a thread has makes no difference.
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
        // Relaxed: each call gets another number, which is all that is needed.
        NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    };
}

/// Returns a number that no other living thread has. It is not 0.
#[cfg(loom)]
#[must_use]
pub fn this_thread() -> usize {
    HERE.with(|here| *here)
}
