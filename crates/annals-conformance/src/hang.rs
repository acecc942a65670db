//! What may turn in a circle for ever, in code that nobody can stop.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long anything takes that ends at all, on any machine.
const EVER: Duration = Duration::from_secs(300);

/// Answers what `run` does. If that does not come back in five minutes, says so on standard error, with `what`, and
/// ends the process: a test that hangs tells nobody why.
///
/// # Panics
/// As `run`, or if the system has no thread to wait with.
pub fn or_abort<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let (ended, end) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if end.recv_timeout(EVER) == Err(RecvTimeoutError::Timeout) {
                let _ = writeln!(std::io::stderr(), "\n{what}: it hangs; the process ends");
                std::process::abort();
            }
        });
        // Dropped when it comes back, and when it panics.
        let _ended = ended;
        run()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_answered_and_a_panic_is_passed_on() {
        assert_eq!(or_abort("a sum", || 1 + 1), 2);
        let panics = std::panic::catch_unwind(|| or_abort("a panic", || panic!("as it should")));
        assert!(panics.is_err());
    }
}
