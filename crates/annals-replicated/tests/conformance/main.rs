//! The conformance suite on a replicated log over an engine in memory, with another replica that follows in the
//! background. Then again with a pair: appends go to one store, and everything else to the other.

use annals_replicated::sim::{Faults, SimLog};
use annals_replicated::testing::TestEngine;

struct Simulated;

impl TestEngine for Simulated {
    type Record = SimLog;

    fn create(&self) -> SimLog {
        SimLog::new(Faults::none(), 7)
    }
}

mod one {
    use annals_conformance::conformance;
    use annals_replicated::testing::ReplicatedSubject;

    use crate::Simulated;

    // tests/replicated checks what holds instead: the batch is in the log once the replica is opened again.
    conformance!(ReplicatedSubject(Simulated), skipped: [a_failed_sync_poisons]);
}

mod two {
    use annals_replicated::testing::PairSubject;

    use crate::Simulated;

    macro_rules! pair {
        ($($name:ident)+) => {$(
            #[test]
            fn $name() {
                annals_conformance::judge(stringify!($name), annals_conformance::$name(&PairSubject(Simulated)), &[]);
            }
        )+

        #[test]
        fn all_invariants_of_a_pair_are_checked() {
            let all = annals_conformance::INVARIANTS.iter().copied();
            let all = all.filter(|name| PairSubject::<Simulated>::has(name));
            assert_eq!(all.collect::<Vec<_>>(), [$(stringify!($name)),+]);
        }
        };
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
        health_says_whether_appends_are_taken
    }
}
