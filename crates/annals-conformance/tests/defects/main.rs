//! The suite catches backends that are wrong: each test has a backend with one defect, and the invariant that catches
//! it.

mod backend;
mod subject;

use std::sync::Arc;

use annals::Memory;
use annals_conformance::{Fixture, Outcome, Sample, Subject, Violation};

use backend::{Defect, Defective};
use subject::With;

type Check = fn(&With) -> Result<Outcome, Violation>;

fn catches(subject: &With, name: &str, check: Check, words: &str) {
    match check(subject) {
        Err(violation) => {
            assert_eq!(violation.invariant, name);
            assert!(
                violation.message.contains(words),
                "caught, but for another reason: {violation}"
            );
        }
        Ok(outcome) => panic!("{name} does not catch {:?}: {outcome:?}", subject.defect),
    }
}

macro_rules! caught {
    ($($test:ident: $subject:expr => $invariant:ident, $words:literal;)+) => {
        $(#[test]
        fn $test() {
            catches(&$subject, stringify!($invariant), annals_conformance::$invariant, $words);
        })+
    };
}

caught! {
    offsets_with_a_gap: With::memory(Defect::LeavesGaps) => offsets_are_gapless, "head";
    a_batch_in_another_order: With::memory(Defect::ReversesBatches) => batches_are_atomic, "and not event 0";
    a_batch_that_comes_in_pieces: With::memory(Defect::TearsBatches) => batches_are_atomic, "";
    a_failed_append_that_leaves_something:
        With::memory(Defect::LeavesWhatFailed) => a_failed_append_leaves_nothing, "the head is";
    a_condition_that_is_looked_at_before:
        With::memory(Defect::ChecksThenAppends) => condition_and_append_are_one_step, "";
    ids_that_are_forgotten: With::memory(Defect::ForgetsIds) => ids_are_recorded_once, "the offset of a known id";
    an_event_that_changes: With::memory(Defect::ChangesEvents) => references_stay, "changed";
    an_event_that_a_subscriber_does_not_see:
        With::memory(Defect::SkipsAnEvent) => every_subscriber_sees_each_event_once_in_order, "callback saw";
    an_event_that_a_subscriber_sees_twice:
        With::memory(Defect::RepeatsAnEvent) => every_subscriber_sees_each_event_once_in_order, "callback saw";
    an_asynchronous_append_that_blocks:
        With::files(Defect::BlocksWhoMustNot) => an_append_arrives_whether_awaited_or_not, "must not block waits";
    a_head_before_what_is_below_it_is_durable: With::files(Defect::PublishesEarly) => published_is_durable, "the head";
    readers_that_wait_for_a_writer: With::files(Defect::LocksReadersOut) => readers_do_not_wait, "waits";
    a_writer_that_waits_for_readers: With::memory(Defect::WaitsForReaders) => writers_do_not_wait_for_readers, "waits";
    a_failure_that_is_forgotten: With::memory(Defect::ForgetsItsPoison) => a_failed_sync_poisons, "an append after";
    damage_that_is_passed_over:
        With::files(Defect::PassesOverDamage) => corruption_is_reported_never_skipped, "nothing at 0";
    a_match_that_is_missed: With::memory(Defect::MissesAMatch) => queries_answer_what_matches, "expected";
    something_beyond_the_head: With::memory(Defect::HidesTheHead) => past_the_head_is_none, "something at";
    a_name_that_is_forgotten: With::memory(Defect::ForgetsNames) => names_are_counted, "types";
    events_that_have_the_same_digest:
        With::memory(Defect::ConfusesEvents) => digests_tell_events_apart, "how many digests";
    an_error_that_is_told_of_another_event:
        With::files(Defect::MisplacesErrors) => what_cannot_be_decoded_is_one_error, "the events read";
    a_retry_that_is_refused:
        With::memory(Defect::RefusesRetries) => ids_are_recorded_once, "the offset of a known id, with";
    another_event_that_is_taken_for_a_retry:
        With::memory(Defect::KnowsByTheIdAlone) => ids_are_recorded_once, "was appended";
    a_condition_that_guards_nothing:
        With::memory(Defect::GuardsNothing) => conditions_see_what_they_say, "beyond the head";
    a_condition_that_is_forgotten:
        With::memory(Defect::ChecksOneCondition) => every_condition_of_a_batch_holds, "the conflict should be";
    a_retry_that_is_reported_as_new:
        With::memory(Defect::TellsNothingApart) => ids_are_recorded_once, "whether the log had";
    an_id_that_is_found_without_its_event:
        With::memory(Defect::FindsWhatIsNotThere) => ids_are_found, "the event with an";
    a_time_that_is_far_too_late: With::memory(Defect::TakesAnyTime) => times_never_go_back, "far in the future";
    an_ordinal_that_begins_at_one: With::memory(Defect::Miscounts) => ordinals_are_those_of_a_walk, "event 0 of";
    bytes_that_lack_a_part:
        With::memory(Defect::ForgetsIdsOfBytes) => raw_is_what_was_appended, "the stored bytes";
    times_that_are_lost: With::memory(Defect::ForgetsTimes) => a_time_finds_its_first_event, "time";
    a_health_that_hides_a_failure:
        With::files(Defect::LooksHealthy) => health_says_whether_appends_are_taken, "without room is Open";
    cursors_that_end_too_early: With::memory(Defect::EndsEarly) => closing_ends_cursors, "a cursor ended";
    a_log_that_opens_twice: With::memory(Defect::Nothing) => a_second_writer_is_refused, "second writer";
    a_disk_that_lies_about_recovery:
        With { disk_lies: true, ..With::files(Defect::Nothing) } => recovery_keeps_every_acknowledged_event, "acknowledged";
    a_disk_that_lies_to_subscribers:
        With { disk_lies: true, ..With::files(Defect::Nothing) } => published_is_durable, "gone after a crash";
}

#[test]
fn nothing_is_found_wrong_with_a_backend_that_is_right() {
    struct Patient;

    impl Subject for Patient {
        type Backend = Defective;
        fn fixture(&self) -> Arc<dyn Fixture<Defective>> {
            With::files(Defect::Nothing).fixture()
        }
    }

    let report = annals_conformance::run(&Patient);
    assert_eq!(report.violations().collect::<Vec<_>>(), Vec::<&Violation>::new(), "{report}");
    assert_eq!(report.skipped().count(), 0, "{report}");
    assert_eq!(report.held().count(), annals_conformance::INVARIANTS.len());
}

#[test]
fn a_panic_is_a_violation() {
    struct Panics;

    impl Subject for Panics {
        type Backend = Memory<Sample>;
        fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>> {
            std::panic::resume_unwind(Box::new("no fixture".to_owned()));
        }
    }

    let violation = annals_conformance::past_the_head_is_none(&Panics).expect_err("a violation");
    assert_eq!(violation.to_string(), "past_the_head_is_none does not hold: a panic: no fixture");
}
