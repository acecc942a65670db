//! The inputs of the core, in the order in which they came.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::core::messages::Input;

/// Inputs for the core, from any thread.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    inputs: VecDeque<Input>,
    stopped: bool,
}

impl Inbox {
    /// Adds an input.
    pub(super) fn push(&self, input: Input) {
        self.state.lock().inputs.push_back(input);
        self.changed.notify_one();
    }

    /// Ends the driver.
    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Waits for inputs, until `until` at the latest, and returns them. Returns `None` when the driver is to end.
    pub(super) fn wait(&self, until: Instant) -> Option<VecDeque<Input>> {
        let mut state = self.state.lock();
        while state.inputs.is_empty() && !state.stopped {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        if state.stopped { None } else { Some(std::mem::take(&mut state.inputs)) }
    }
}
