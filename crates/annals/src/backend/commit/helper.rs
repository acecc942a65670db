//! The helper: a thread that leads for callers that must not block.

use std::sync::Arc;

use annals_base::{Condvar, Mutex};

/// Calls the helper thread.
#[derive(Default)]
pub(crate) struct Helper {
    call: Mutex<HelperCall>,
    called: Condvar,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum HelperCall {
    #[default]
    None,
    Lead,
    End,
}

impl Helper {
    /// Starts the thread. It calls `lead` each time it is called to, until `lead` returns false. Returns `None` if the
    /// thread cannot be started.
    pub(super) fn start(lead: impl Fn(&Self) -> bool + Send + 'static) -> Option<Arc<Self>> {
        let helper = Arc::new(Self::default());
        let its = Arc::clone(&helper);
        let thread = std::thread::Builder::new().name("annals-commit".into());
        match thread.spawn(move || while its.wait() == HelperCall::Lead && lead(&its) {}) {
            Ok(_) => Some(helper),
            Err(error) => {
                tracing::warn!(%error, "no thread for asynchronous appends; their callers commit instead");
                None
            }
        }
    }

    /// Calls the thread to lead.
    pub(super) fn lead(&self) {
        self.set(HelperCall::Lead);
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.set(HelperCall::End);
    }

    fn set(&self, call: HelperCall) {
        *self.call.lock() = call;
        self.called.notify_one();
    }

    /// Takes a call to lead. Returns whether there was one.
    pub(super) fn is_called_to_lead(&self) -> bool {
        let mut call = self.call.lock();
        let lead = *call == HelperCall::Lead;
        if lead {
            *call = HelperCall::None;
        }
        lead
    }

    fn wait(&self) -> HelperCall {
        let none = |call: &mut HelperCall| *call == HelperCall::None;
        let mut call = self.called.wait_while(self.call.lock(), none);
        std::mem::take(&mut *call)
    }
}
