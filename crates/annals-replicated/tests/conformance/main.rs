//! The conformance suite on a replicated log over an engine in memory, with another replica that follows in the
//! background. Then again with a pair: appends go to one store, and everything else to the other.

mod pair;
mod subject;

mod one {
    use crate::subject::ReplicatedSubject;
    use annals_conformance::conformance;

    // The record is the durable copy: a batch whose replica cannot be written is in the log once it is opened again.
    // tests/replicated.rs checks that.
    conformance!(ReplicatedSubject, skipped: [a_failed_sync_poisons]);
}

/// With a pair, an append does not wait for the callbacks of the other store, so two invariants about them do not
/// apply: `a_subscriber_may_append` and `readers_do_not_wait`. Nor does `a_failed_sync_poisons`, as above.
mod two {
    use crate::pair::PairSubject;

    macro_rules! pair {
        ($($name:ident)+) => {$(
            #[test]
            fn $name() {
                annals_conformance::judge(stringify!($name), annals_conformance::$name(&PairSubject), &[]);
            }
        )+};
    }

    pair! {
        offsets_are_gapless published_is_durable batches_are_atomic references_stay writers_do_not_wait_for_readers
        condition_and_append_are_one_step every_subscriber_sees_each_event_once_in_order
        a_failed_append_leaves_nothing recovery_keeps_every_acknowledged_event corruption_is_reported_never_skipped
        limits_are_refused_by_name ids_are_recorded_once ids_are_found conditions_see_what_they_say
        every_condition_of_a_batch_holds queries_answer_what_matches reading_goes_from_both_ends names_are_counted
        times_never_go_back an_empty_batch_changes_nothing past_the_head_is_none
        an_append_arrives_whether_awaited_or_not a_subscriber_that_panics_harms_nobody closing_ends_cursors
        events_come_back_as_they_were ten_threads_append_a_thousand_events a_second_writer_is_refused
        digests_tell_events_apart what_cannot_be_decoded_is_one_error owned_subscriptions_need_no_handle
        a_time_finds_its_first_event ordinals_are_those_of_a_walk raw_is_what_was_appended
    }
}
