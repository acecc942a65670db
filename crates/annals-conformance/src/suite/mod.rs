//! The suite: one function for each invariant, with the name of the invariant.

mod appending;
mod conditions;
mod decoding;
mod durability;
mod failing;
mod limits;
mod order;
mod ordinals;
mod owned;
mod queries;
mod raw;
mod reading;
mod subscribers;
mod times;
mod tools;
mod waiting;

use crate::check::{Outcome, Report, Violation, run as run_check};
use crate::subject::Subject;

/// Defines a public function for each check, `run`, and `INVARIANTS`.
macro_rules! suite {
    ($($(#[$doc:meta])* $module:ident :: $name:ident;)+) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// [`Violation`] if the invariant does not hold.
            pub fn $name<S: Subject + ?Sized>(subject: &S) -> Result<Outcome, Violation> {
                run_check(stringify!($name), || $module::$name(subject))
            }
        )+

        /// Checks every invariant.
        #[must_use]
        pub fn run<S: Subject + ?Sized>(subject: &S) -> Report {
            run_where(subject, |_| true)
        }

        /// Checks the invariants whose name `choose` accepts.
        #[must_use]
        pub fn run_where<S: Subject + ?Sized>(subject: &S, choose: impl Fn(&str) -> bool) -> Report {
            let mut results = Vec::new();
            $(
                if choose(stringify!($name)) {
                    results.push((stringify!($name), $name(subject)));
                }
            )+
            Report { results }
        }

        /// The names of all invariants, in the order in which they are checked.
        pub const INVARIANTS: &[&str] = &[$(stringify!($name)),+];
    };
}

suite! {
    /// Checks that offsets are 0, 1, 2, …, in one order for every reader that never changes, however many threads
    /// append.
    order::offsets_are_gapless;
    /// Checks that no reader, query or subscriber sees an event before it has the requested durability.
    durability::published_is_durable;
    /// Checks that a batch is in the log as a whole or not at all, with consecutive offsets, also after a crash.
    order::batches_are_atomic;
    /// Checks that a published event never moves or changes while a reader holds it.
    reading::references_stay;
    /// Checks that readers do not wait for a writer, wherever the writer is stopped.
    waiting::readers_do_not_wait;
    /// Checks that a writer does not wait for readers, whatever events they hold.
    waiting::writers_do_not_wait_for_readers;
    /// Checks that checking a condition and appending are one atomic step, however many threads race.
    conditions::condition_and_append_are_one_step;
    /// Checks that callbacks and cursors see each event once and in order, also where a cursor has caught up and goes
    /// on live.
    subscribers::every_subscriber_sees_each_event_once_in_order;
    /// Checks that a failed append leaves nothing in the log, whatever the reason, and the next append gets the same
    /// offset.
    failing::a_failed_append_leaves_nothing;
    /// Checks that after a crash every acknowledged event is in the log, and no part of a batch.
    durability::recovery_keeps_every_acknowledged_event;
    /// Checks that after a failed write or sync no append succeeds until the log is opened again. Reads continue.
    failing::a_failed_sync_poisons;
    /// Checks that damage of stored events is reported, never skipped.
    durability::corruption_is_reported_never_skipped;
    /// Checks that an event beyond a limit is refused with an error that names the limit and the value.
    limits::limits_are_refused_by_name;
    /// Checks that appending an id again returns the offset of the recorded event, says that it was known, and appends
    /// nothing.
    conditions::ids_are_recorded_once;
    /// Checks that an event is found by its id, at once when it is appended, and by readers beside a writer.
    conditions::ids_are_found;
    /// Checks that conditions check the whole log, or the events from an offset on.
    conditions::conditions_see_what_they_say;
    /// Checks that all conditions of a batch must hold, each from its own offset on, and that the first event that one
    /// of them forbids is reported.
    conditions::every_condition_of_a_batch_holds;
    /// Checks that queries return the events that `Query::matches` accepts, from either end, in any part of the log.
    queries::queries_answer_what_matches;
    /// Checks that iterators read from either end, from both ends in turn, and only within their range.
    reading::reading_goes_from_both_ends;
    /// Checks that types and tags are counted, and found by prefix.
    queries::names_are_counted;
    /// Checks that times never go back, and all events of a batch have the same time.
    order::times_never_go_back;
    /// Checks that a batch of no events succeeds and changes nothing.
    appending::an_empty_batch_changes_nothing;
    /// Checks that reading at or beyond the head returns nothing, and is not an error.
    reading::past_the_head_is_none;
    /// Checks that an asynchronous append returns the same result as a blocking one. It is done even if its future is
    /// dropped.
    appending::an_append_arrives_whether_awaited_or_not;
    /// Checks that a subscriber that panics is removed, and affects no other subscriber and no append.
    subscribers::a_subscriber_that_panics_harms_nobody;
    /// Checks that a subscriber may append from its callback.
    subscribers::a_subscriber_may_append;
    /// Checks that closing the log ends cursors after they have read everything.
    subscribers::closing_ends_cursors;
    /// Checks that events are read as they were appended, including the largest and strangest allowed ones.
    appending::events_come_back_as_they_were;
    /// Checks that ten threads that append a hundred events each get a thousand different offsets.
    order::ten_threads_append_a_thousand_events;
    /// Checks that a log that is open for writing cannot be opened for writing again.
    durability::a_second_writer_is_refused;
    /// Checks that each event has one digest, which differs from those of all other events, in this log and in others.
    reading::digests_tell_events_apart;
    /// Checks that an event that cannot be decoded is one error with its offset, and the events behind it are read
    /// normally.
    decoding::what_cannot_be_decoded_is_one_error;
    /// Checks that an owned subscription or stream reads on when every other handle of the log is gone, and that its
    /// events outlive it.
    owned::owned_subscriptions_need_no_handle;
    /// Checks that the first event at or after a time is found, and the events between two times.
    times::a_time_finds_its_first_event;
    /// Checks that the events of a name are counted and numbered as a walk over the log counts them.
    ordinals::ordinals_are_those_of_a_walk;
    /// Checks that the bytes of events are read as they were appended, with their offsets and times, in pages of any
    /// size, also by a program that cannot decode them.
    raw::raw_is_what_was_appended;
    /// Checks that the health says whether the log takes appends, and if not, why.
    failing::health_says_whether_appends_are_taken;
}

/// Defines a test of each invariant for a [`Subject`]: `conformance!(MySubject);`
///
/// Invariants that cannot be checked on it must be listed: `conformance!(MySubject, skipped: [an_invariant,
/// another]);`. A test fails if its invariant is skipped but not listed, or listed but not skipped.
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
            limits_are_refused_by_name ids_are_recorded_once ids_are_found conditions_see_what_they_say
            every_condition_of_a_batch_holds queries_answer_what_matches
            reading_goes_from_both_ends names_are_counted times_never_go_back an_empty_batch_changes_nothing
            past_the_head_is_none an_append_arrives_whether_awaited_or_not a_subscriber_that_panics_harms_nobody
            a_subscriber_may_append closing_ends_cursors events_come_back_as_they_were
            ten_threads_append_a_thousand_events a_second_writer_is_refused digests_tell_events_apart
            what_cannot_be_decoded_is_one_error owned_subscriptions_need_no_handle
            a_time_finds_its_first_event ordinals_are_those_of_a_walk raw_is_what_was_appended
            health_says_whether_appends_are_taken
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
