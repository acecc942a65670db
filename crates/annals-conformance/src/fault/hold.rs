//! Stops a call in the middle until a test releases it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// A call that stops, or that will stop when it is made. Dropping this lets the call continue.
#[derive(Debug)]
pub struct Hold(Arc<Gate>);

impl Hold {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self(gate)
    }

    /// Waits until the call has stopped. Returns false if it was not made within `patience`.
    #[must_use]
    pub fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.0.state.lock();
        while !state.reached {
            if self.0.changed.wait_until(&mut state, deadline).timed_out() {
                return state.reached;
            }
        }
        true
    }

    /// Lets the call continue.
    pub fn release(self) {}
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.state.lock().open = true;
        self.0.changed.notify_all();
    }
}

/// The gate at which a call stops.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    reached: bool,
    open: bool,
}

impl Gate {
    /// Stops the calling thread until the gate is open.
    pub(super) fn pass(&self) {
        let mut state = self.state.lock();
        state.reached = true;
        self.changed.notify_all();
        self.changed.wait_while(&mut state, |state| !state.open);
    }
}
