//! Ends the process if code that cannot be interrupted hangs.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// The time after which code counts as hanging, on any machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs `run` and returns its result. If it does not return within 5 minutes, this writes `what` to standard error and
/// aborts the process, since a hanging test would not show the reason.
///
/// # Panics
/// If `run` panics, or if the system cannot start a thread.
pub fn or_abort<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let (ended, end) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                let _ = writeln!(std::io::stderr(), "\n{what}: hangs for 5 minutes; aborting");
                std::process::abort();
            }
        });
        // Dropped when `run` returns and when it panics.
        let _ended = ended;
        run()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_returned_and_a_panic_is_passed_on() {
        assert_eq!(or_abort("a sum", || 1 + 1), 2);
        let panics = std::panic::catch_unwind(|| or_abort("a panic", || panic!("as it should")));
        assert!(panics.is_err());
    }
}
