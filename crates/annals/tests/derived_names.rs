//! Ids with a name, and the names that `#[derive(Event)]` writes as items of the type.

use annals::{AppendError, Event, EventStore, Tags};

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

mod shop {
    use annals::Event;
    use serde::{Deserialize, Serialize};

    #[derive(Event)]
    pub(crate) enum Booking {
        #[event(rename = "seat-booked", alias = "seat-taken")]
        SeatSold {
            #[event(tag = "seat", tag = "seat row")]
            seat: String,
            #[event(tag = "2nd")]
            #[event(tag)]
            second: Option<u32>,
            #[event(tag = "---")]
            dashes: u8,
        },
        HTTPSeen {
            #[event(tag = "seat")]
            seat: u32,
        },
        Paid(Paid<u8>),
        A,
    }

    #[derive(Event, Serialize, Deserialize)]
    pub(crate) struct Paid<T> {
        #[event(tag = "type")]
        pub(crate) by: T,
    }

    /// It has names of its own.
    #[derive(Event)]
    #[event(no_names)]
    pub(crate) enum Own {
        Sold {
            #[event(tag = "seat")]
            seat: u8,
        },
    }

    impl Own {
        pub(crate) const SOLD_TYPE: u8 = 1;
        pub(crate) fn seat_tag(&self) -> u8 {
            let Self::Sold { seat } = self;
            *seat
        }
    }
}

#[test]
fn the_names_of_an_event_are_items_of_its_type() {
    use shop::{Booking, Own, Paid};
    let event = Booking::SeatSold { seat: "1".into(), second: Some(2), dashes: 3 };
    assert_eq!(Booking::SEAT_SOLD_TYPE, event.event_type());
    assert_eq!(Booking::SEAT_SOLD_TYPE, "seat-booked");
    assert_eq!((Booking::HTTP_SEEN_TYPE, Booking::A_TYPE), ("http-seen", Booking::A.event_type()));
    assert_eq!((Booking::PAID_TYPE, Paid::<u8>::EVENT_TYPE), ("paid", "paid"));
    let mut tags = Tags::default();
    event.tags(&mut tags);
    let tags: Vec<_> = tags.iter().collect();
    let named = [Booking::seat_tag("1"), Booking::seat_row_tag(1), Booking::_2nd_tag(2)];
    assert!(named.iter().all(|tag| tags.contains(&tag.as_str())), "{tags:?} {named:?}");
    assert_eq!(Paid::<u8>::type_tag(1), "type:1");
    assert_eq!((Sale::order_id(7), Sale::order_tag(7)), ("order:7".into(), "order:7".into()));
    assert_eq!((Own::SOLD_TYPE, Own::Sold { seat: 2 }.seat_tag()), (1, 2));
    assert_eq!(Booking::HTTPSeen { seat: 1 }.event_type(), Booking::HTTP_SEEN_TYPE);
    assert_eq!(Booking::Paid(Paid { by: 1 }).event_type(), Booking::PAID_TYPE);
}
