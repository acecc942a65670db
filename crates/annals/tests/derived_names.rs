//! What `#[derive(Event)]` makes of ids with a name.

use annals::{AppendError, Event, EventStore};

#[derive(Event, Debug, Clone, PartialEq)]
enum Sale {
    Ordered {
        #[event(id = "order", tag = "order")]
        order: u64,
    },
    Invoiced {
        #[event(id = "invoice")]
        invoice: Option<u64>,
    },
    Noted {
        #[event(id)]
        note: String,
    },
}

#[test]
fn ids_of_different_kinds_have_different_names() {
    let ordered = Sale::Ordered { order: 7 };
    assert_eq!(ordered.id().as_deref(), Some("order:7"));
    assert_eq!(Sale::Invoiced { invoice: Some(7) }.id().as_deref(), Some("invoice:7"));
    assert_eq!(Sale::Invoiced { invoice: None }.id(), None);
    assert_eq!(Sale::Noted { note: "7".into() }.id().as_deref(), Some("7"));

    let store = EventStore::in_memory_encoded();
    store.append(ordered.clone()).unwrap();
    store.append(Sale::Invoiced { invoice: Some(7) }).unwrap();
    assert_eq!(store.append(ordered).unwrap(), 0);
    assert_eq!(store.find("invoice:7").unwrap(), Some(1));
    // Whole ids and named ids are one space.
    let refused = store.append(Sale::Noted { note: "order:7".into() });
    assert!(matches!(refused, Err(AppendError::IdConflict { offset: 0, .. })), "{refused:?}");
}
