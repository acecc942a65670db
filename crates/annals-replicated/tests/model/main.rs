//! All interleavings of two processes on one engine, with one loss, one duplicate and one crash.
//!
//! The model is the core itself. An action delivers a message, lets a read return, or lets something go wrong.

mod engine;
mod linear;
mod process;
mod system;

use stateright::{Checker, Model};

use system::{Defect, System};

/// Checks all states, and returns the names of the properties that do not hold.
fn check(system: System) -> Vec<&'static str> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = system.checker().threads(threads).spawn_bfs().join();
    let mut names: Vec<&str> = checker.discoveries().into_keys().collect();
    names.sort_unstable();
    #[expect(clippy::print_stderr, reason = "a test")]
    {
        eprintln!(
            "{} states, {} of them different",
            checker.state_count(),
            checker.unique_state_count()
        );
    }
    names
}

/// The facts that must be reached, so that the model is known to go far enough.
const REACHED: [&str; 3] = ["a batch is refused", "a crash is survived", "a loss is survived"];

#[test]
fn no_interleaving_breaks_a_promise() {
    let system = System { defect: None, accepts_everything: false, crashes: true };
    assert_eq!(check(system), REACHED);
}

#[test]
fn no_interleaving_on_an_engine_that_accepts_everything_breaks_a_promise() {
    let system = System { defect: None, accepts_everything: true, crashes: false };
    assert_eq!(check(system), ["a batch is refused", "a copy is void", "a loss is survived"]);
}

#[test]
fn a_broken_core_is_caught() {
    for (defect, broken) in [
        (Defect::BelievesLostAnswers, "what was acknowledged is there"),
        (Defect::IgnoresConditions, "conditions hold"),
    ] {
        let found =
            check(System { defect: Some(defect), accepts_everything: false, crashes: true });
        assert!(found.contains(&broken), "{defect:?}: {found:?}");
    }
}
