//! The suite: one function an invariant, each bearing its name.

mod appending;
mod conditions;
mod decoding;
mod durability;
mod failing;
mod limits;
mod order;
mod queries;
mod reading;
mod subscribers;
mod tools;
mod waiting;

use crate::check::{Outcome, Report, Violation, run as run_check};
use crate::subject::Subject;

/// Makes a function of each check, and `run`, and the macro that makes tests of them.
macro_rules! suite {
    ($($(#[$doc:meta])* $module:ident :: $name:ident;)+) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// [`Violation`] if it does not hold.
            pub fn $name<S: Subject + ?Sized>(subject: &S) -> Result<Outcome, Violation> {
                run_check(stringify!($name), || $module::$name(subject))
            }
        )+

        /// Looks at every invariant.
        #[must_use]
        pub fn run<S: Subject + ?Sized>(subject: &S) -> Report {
            Report { results: vec![$((stringify!($name), $name(subject))),+] }
        }

        /// The names of all invariants, in the order in which they are looked at.
        pub const INVARIANTS: &[&str] = &[$(stringify!($name)),+];
    };
}

suite! {
    /// Offsets are 0, 1, 2, …, one order for every reader, for ever, however many threads append.
    order::offsets_are_gapless;
    /// Nobody learns of an event before it is as durable as was asked.
    durability::published_is_durable;
    /// A batch is there as a whole or not at all, its events next to each other, after any crash too.
    order::batches_are_atomic;
    /// An event once published never moves or changes while anyone holds it.
    reading::references_stay;
    /// Readers do not wait for a writer, wherever he is held up.
    waiting::readers_do_not_wait;
    /// A writer does not wait for readers, whatever they hold.
    waiting::writers_do_not_wait_for_readers;
    /// Looking whether something happened and appending is one step, however many threads race.
    conditions::condition_and_append_are_one_step;
    /// Callbacks and cursors see each event once, in order, with no gap or repeat between catching up and live.
    subscribers::every_subscriber_sees_each_event_once_in_order;
    /// Whatever the reason that an append failed for, nothing of it is there, and the next goes on as if it had not
    /// been.
    failing::a_failed_append_leaves_nothing;
    /// After a crash every acknowledged event is there, and nothing that was never a whole batch.
    durability::recovery_keeps_every_acknowledged_event;
    /// After a write or sync that failed no append succeeds until the log is opened again; reads go on.
    failing::a_failed_sync_poisons;
    /// Damage to what is stored is told, never passed over.
    durability::corruption_is_reported_never_skipped;
    /// What is beyond a limit is refused by the limit's name, with the value.
    limits::limits_are_refused_by_name;
    /// An id that is appended again answers the offset that it has, and appends nothing.
    conditions::ids_are_recorded_once;
    /// Conditions look at what they say: the whole log, or from an offset on.
    conditions::conditions_see_what_they_say;
    /// Queries answer what `Query::matches` says, from either end, in any part of the log.
    queries::queries_answer_what_matches;
    /// Reading goes from either end, from both in turn, and within its range only.
    reading::reading_goes_from_both_ends;
    /// Types and tags are counted, and found by how they begin.
    queries::names_are_counted;
    /// Times never go back, and a batch has one.
    order::times_never_go_back;
    /// A batch of no events succeeds and changes nothing.
    appending::an_empty_batch_changes_nothing;
    /// At the head and beyond there is nothing, and that is no error.
    reading::past_the_head_is_none;
    /// What a futures append answers is what a blocking one would; it arrives though nobody waits for it.
    appending::an_append_arrives_whether_awaited_or_not;
    /// A subscriber that panics is dropped, and harms nobody.
    subscribers::a_subscriber_that_panics_harms_nobody;
    /// A subscriber may append from its callback.
    subscribers::a_subscriber_may_append;
    /// Closing ends cursors once they have read everything.
    subscribers::closing_ends_cursors;
    /// Events come back as they were appended, the largest and the strangest that are allowed.
    appending::events_come_back_as_they_were;
    /// Ten threads that append a hundred events each get a thousand offsets.
    order::ten_threads_append_a_thousand_events;
    /// A log that is open for writing cannot be opened so again.
    durability::a_second_writer_is_refused;
    /// An event has one digest, which no other event has, in this log or in another.
    reading::digests_tell_events_apart;
    /// An event that cannot be decoded is one error, with its offset, and what lies behind it is read all the same.
    decoding::what_cannot_be_decoded_is_one_error;
}

/// Makes a test of each invariant, for a [`Subject`]: `conformance!(MySubject);`
///
/// Invariants that cannot be tried on it must be listed: `conformance!(MySubject, skipped: [an_invariant, another]);`.
/// A test fails if its invariant is skipped and not listed, or listed and not skipped.
#[macro_export]
macro_rules! conformance {
    ($subject:expr) => { $crate::conformance!($subject, skipped: []); };
    ($subject:expr, skipped: [$($skipped:ident),* $(,)?]) => {
        $crate::__conformance_tests! {
            ($subject) [$($skipped)*]
            offsets_are_gapless published_is_durable batches_are_atomic references_stay readers_do_not_wait
            writers_do_not_wait_for_readers condition_and_append_are_one_step
            every_subscriber_sees_each_event_once_in_order a_failed_append_leaves_nothing
            recovery_keeps_every_acknowledged_event a_failed_sync_poisons corruption_is_reported_never_skipped
            limits_are_refused_by_name ids_are_recorded_once conditions_see_what_they_say queries_answer_what_matches
            reading_goes_from_both_ends names_are_counted times_never_go_back an_empty_batch_changes_nothing
            past_the_head_is_none an_append_arrives_whether_awaited_or_not a_subscriber_that_panics_harms_nobody
            a_subscriber_may_append closing_ends_cursors events_come_back_as_they_were
            ten_threads_append_a_thousand_events a_second_writer_is_refused digests_tell_events_apart
            what_cannot_be_decoded_is_one_error
        }
    };
}

/// The tests of [`conformance!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (($subject:expr) $skipped:tt $($name:ident)+) => {
        $($crate::__conformance_tests! { @one ($subject) $skipped $name })+

        #[test]
        fn no_invariant_is_forgotten() {
            assert_eq!([$(stringify!($name)),+], $crate::INVARIANTS);
        }
    };
    (@one ($subject:expr) [$($skipped:ident)*] $name:ident) => {
        #[test]
        fn $name() {
            $crate::judge(stringify!($name), $crate::$name(&$subject), &[$(stringify!($skipped)),*]);
        }
    };
}
