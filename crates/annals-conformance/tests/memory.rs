//! The conformance suite on the memory backend.

annals_conformance::conformance!(
    annals_conformance::MemorySubject,
    skipped: [
        published_is_durable,
        recovery_keeps_every_acknowledged_event,
        a_failed_sync_poisons,
        corruption_is_reported_never_skipped,
        a_second_writer_is_refused,
        what_cannot_be_decoded_is_one_error,
    ]
);
