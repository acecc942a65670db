//! The suite that an engine must pass: what [`CommitLog`](crate::CommitLog) promises, as checks that the author of an
//! engine runs.
//!
//! ```
//! use annals_replicated::sim::{Faults, SimLog};
//! use annals_replicated::suite::{self, LogSubject};
//!
//! struct Simulated;
//!
//! impl LogSubject for Simulated {
//!     type Log = SimLog;
//!     fn create(&self) -> SimLog {
//!         SimLog::new(Faults { lost_answers: 20, doubled: 20, ..Faults::none() }, 7)
//!     }
//!     fn connect(&self, log: &SimLog) -> SimLog {
//!         log.clone()
//!     }
//! }
//!
//! let violations = suite::run(&Simulated);
//! assert_eq!(violations, []);
//! ```
//! The checks also hold for an engine that loses answers, stores entries twice and refuses wrongly. An engine's author
//! runs them once as it is, and once through a proxy that drops answers. They assert no times.
//!
//! ```text
//!   subject      an engine, as the suite meets it
//!   reader       reads a record, and checks the slots
//!   writer       appends commits, and checks the answers
//!   reads, appends, connections    the checks
//! ```

mod appends;
mod connections;
mod reader;
mod reads;
mod subject;
mod writer;

pub use subject::{LogSubject, Violation};

use subject::Check;

/// Runs all checks, each on a record of its own. Returns the promises that were broken; none if all is well.
pub fn run<S: LogSubject>(subject: &S) -> Vec<Violation> {
    let checks: [Check<S>; 15] = [
        ("a_record_begins_with_its_genesis", reads::begins_with_genesis),
        ("what_is_acknowledged_is_read_by_all", reads::acknowledged_is_read),
        ("the_ends_are_those_of_the_record", reads::ends_are_right),
        ("reads_keep_their_limits", reads::keep_limits),
        ("entries_are_read_again_as_they_were", reads::again),
        ("waiting_ends_with_an_entry", reads::waiting_ends),
        ("a_clock_is_shown_without_entries_too", reads::show_clock),
        ("writers_that_race_make_one_chain", appends::race),
        ("the_largest_entry_is_stored", appends::largest_entry),
        ("a_larger_entry_is_refused_or_stored", appends::larger_entry),
        ("appends_under_way_are_all_answered", appends::under_way),
        ("the_parts_of_a_commit_are_stored", appends::parts),
        ("an_entry_behind_another_hash_is_not_stored", appends::compare_hashes),
        ("a_new_connection_has_another_number", connections::numbers),
        ("a_hint_is_that_of_another_writer", connections::hints),
    ];
    let failed = checks.into_iter().filter_map(|(check, run)| {
        let found = run(subject).err()?;
        Some(Violation { check, found })
    });
    failed.collect()
}
