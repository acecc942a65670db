//! Ctrl-C, SIGTERM and SIGHUP.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::Failure;

/// Calls `first` at the first signal. A second signal ends the process at once with this exit code, because the first
/// has no effect while the process is blocked, for example on a full pipe that is not read.
pub(crate) fn on_signal(
    code: i32,
    mut first: impl FnMut() + Send + 'static,
) -> Result<(), Failure> {
    let is_second = AtomicBool::new(false);
    let handle = move || {
        // Relaxed: only the thread that handles signals uses the flag.
        if is_second.swap(true, Ordering::Relaxed) {
            std::process::exit(code);
        }
        first();
    };
    ctrlc::set_handler(handle).map_err(Failure::Signals)
}

/// Whether a signal asked the command to end after the batch that it appends at the moment.
#[derive(Clone, Default)]
pub(crate) struct Interrupt {
    requested: Arc<AtomicBool>,
}

impl Interrupt {
    /// Handles signals from now on. The first signal also calls the waker. A second signal ends the process.
    pub(crate) fn start() -> Result<(Self, Waker), Failure> {
        let interrupt = Self::default();
        let waker = Waker::default();
        let (requested, wake) = (Arc::clone(&interrupt.requested), waker.clone());
        on_signal(130, move || {
            // Release: pairs with the Acquire load in `is_requested`.
            requested.store(true, Ordering::Release);
            if let Some(wake) = &*wake.0.lock().unwrap_or_else(PoisonError::into_inner) {
                wake();
            }
        })?;
        Ok((interrupt, waker))
    }

    /// Returns whether a signal came.
    pub(crate) fn is_requested(&self) -> bool {
        // Acquire: pairs with the Release store in the signal handler.
        self.requested.load(Ordering::Acquire)
    }

    /// Fails if a signal came.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.is_requested() { Err(Failure::Interrupted) } else { Ok(()) }
    }
}

/// Wakes what the command waits for.
#[derive(Clone, Default)]
pub(crate) struct Waker(Arc<Mutex<Option<Wake>>>);

type Wake = Box<dyn Fn() + Send>;

impl Waker {
    /// Sets what is called at the first signal.
    pub(crate) fn set(&self, wake: impl Fn() + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(wake));
    }
}
