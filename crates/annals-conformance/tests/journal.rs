//! The conformance suite on the Journal, with both durabilities, with small segments and with one large segment.

mod sync {
    use annals::Durability;
    use annals_conformance::{JournalSubject, conformance};

    conformance!(JournalSubject::new(Durability::Sync));
}

mod buffered {
    use annals::Durability;
    use annals_conformance::{JournalSubject, conformance};

    conformance!(JournalSubject::new(Durability::Buffered));
}

mod in_one_segment {
    use annals::Durability;
    use annals_conformance::{JournalSubject, conformance};

    conformance!(JournalSubject { durability: Durability::Sync, segment_bytes: 64 << 20 });
}
