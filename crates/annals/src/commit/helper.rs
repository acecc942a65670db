//! The thread that leads for those who must not block.

use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use super::{Committer, Home};
use crate::Event;

/// Wakes the thread.
#[derive(Default)]
pub(super) struct Helper {
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
    fn set(&self, call: HelperCall) {
        *self.call.lock() = call;
        self.called.notify_one();
    }

    /// Returns whether there is a call to lead, and takes it.
    fn is_called_to_lead(&self) -> bool {
        let mut call = self.call.lock();
        let lead = *call == HelperCall::Lead;
        if lead {
            *call = HelperCall::None;
        }
        lead
    }

    fn wait(&self) -> HelperCall {
        let mut call = self.call.lock();
        self.called.wait_while(&mut call, |call| *call == HelperCall::None);
        std::mem::take(&mut *call)
    }
}

impl<E: Event, H: Home<E>> Committer<E, H> {
    /// Has the helper lead; without one (no thread can be had) this thread does.
    pub(super) fn call_helper(&self) {
        match self.helper.get_or_init(|| self.start_helper()) {
            Some(helper) => helper.set(HelperCall::Lead),
            None => self.lead_pending(),
        }
    }

    fn start_helper(&self) -> Option<Arc<Helper>> {
        let helper = Arc::new(Helper::default());
        let (mine, me) = (Arc::clone(&helper), Weak::clone(&self.me));
        let thread = std::thread::Builder::new().name("annals-commit".into());
        match thread.spawn(move || help(&mine, &me)) {
            Ok(_) => Some(helper),
            Err(error) => {
                tracing::warn!(%error, "no thread for asynchronous appends: their callers commit");
                None
            }
        }
    }
}

/// Leads whenever it is called to, until the committer is gone.
fn help<E: Event, H: Home<E>>(helper: &Helper, committer: &Weak<Committer<E, H>>) {
    while helper.wait() == HelperCall::Lead {
        let Some(committer) = committer.upgrade() else { return };
        committer.lead_pending();
        // A callback may have dropped the store: as long as something waits, the committer is kept.
        while helper.is_called_to_lead() {
            committer.lead_pending();
        }
    }
}

impl<E, H> Drop for Committer<E, H> {
    fn drop(&mut self) {
        if let Some(Some(helper)) = self.helper.get() {
            helper.set(HelperCall::End);
        }
    }
}
