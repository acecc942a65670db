//! The backend in files does what every backend must, at both durabilities, in small segments and in one large one.

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
