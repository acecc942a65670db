//! Reports a callback that blocks for seconds, since every append waits for it. Compiled in debug builds only.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use annals_base::{Condvar, Mutex};

/// The time that a callback may take. A longer call is reported before twice this time has passed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Watches the callbacks of one head, which run one at a time. The first call starts its thread.
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    started: OnceLock<()>,
}

struct Shared {
    patience: Duration,
    report: Box<dyn Fn(u64) + Send + Sync>,
    calls: Mutex<Calls>,
    over: Condvar,
}

#[derive(Default)]
struct Calls {
    /// The number of calls so far.
    number: u64,
    /// The offset of the event whose callback is running.
    offset: Option<u64>,
    over: bool,
}

/// A guard: a callback is running until it is dropped.
pub(crate) struct Watched<'a>(&'a Shared);

impl Default for Watchdog {
    fn default() -> Self {
        Self::new(PATIENCE, report)
    }
}

fn report(offset: u64) {
    tracing::warn!(
        offset,
        "a callback has not returned for seconds, and every append waits for it; a callback must not wait for an \
         append of another thread, and must not take a lock that an appending thread holds: read a subscription in a \
         thread of its own instead"
    );
}

impl Watchdog {
    pub(crate) fn new(patience: Duration, report: impl Fn(u64) + Send + Sync + 'static) -> Self {
        let (calls, over) = (Mutex::default(), Condvar::new());
        let shared = Shared { patience, report: Box::new(report), calls, over };
        Self { shared: Arc::new(shared), started: OnceLock::new() }
    }

    /// Watches a call until the returned guard is dropped.
    pub(crate) fn watch(&self, offset: u64) -> Watched<'_> {
        self.started.get_or_init(|| self.start());
        let mut calls = self.shared.calls.lock();
        calls.number += 1;
        calls.offset = Some(offset);
        Watched(&self.shared)
    }

    fn start(&self) {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("annals-watchdog".into());
        if let Err(error) = thread.spawn(move || shared.run()) {
            tracing::warn!(%error, "cannot start the thread that reports a callback that blocks");
        }
    }
}

impl Shared {
    fn run(&self) {
        let (mut seen, mut reported) = (0, 0);
        let mut calls = self.calls.lock();
        while !calls.over {
            let before = seen;
            (calls, _) = self.over.wait_for(calls, self.patience);
            seen = calls.number;
            if let Some(offset) = calls.offset
                && seen == before
                && seen != reported
            {
                reported = seen;
                drop(calls);
                (self.report)(offset);
                calls = self.calls.lock();
            }
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.calls.lock().offset = None;
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.calls.lock().over = true;
        self.shared.over.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Each call lasts until it is reported. Without the report this test does not end.
    #[test]
    fn a_call_that_does_not_end_is_reported_once_with_its_offset() {
        let (report, reported) = channel();
        let watchdog = Watchdog::new(Duration::from_millis(1), move |offset| {
            report.send(offset).expect("the test receives");
        });
        for offset in [7, 8] {
            let _watched = watchdog.watch(offset);
            assert_eq!(reported.recv(), Ok(offset));
        }
        assert!(reported.try_recv().is_err());
    }
}
