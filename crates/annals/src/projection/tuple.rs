//! Tuples of projections, which are projections.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::{Parts, Projection};
use crate::event::event::{Event, Recorded};
use crate::event::tags::Tags;
use crate::query::Query;

/// The names of an event, computed when the first part asks for them.
struct Names<'e, E> {
    event: &'e E,
    tags: OnceCell<Tags>,
}

impl<'e, E: Event> Names<'e, E> {
    fn of(event: &'e E) -> Self {
        Self { event, tags: OnceCell::new() }
    }

    fn match_query(&self, query: &Query) -> bool {
        if query.is_all() {
            return true;
        }
        let tags = self.tags.get_or_init(|| {
            let mut tags = Tags::default();
            self.event.tags(&mut tags);
            tags
        });
        query.matches(self.event.event_type(), tags.iter())
    }
}

/// Combines the versions of the parts: another version of any part gives another version of the tuple.
fn combined(versions: &[u32]) -> u32 {
    // FNV-1a, with a version in place of a byte.
    versions
        .iter()
        .fold(0x811c_9dc5, |hash: u32, version| (hash ^ version).wrapping_mul(0x0100_0193))
}

macro_rules! tuple_is_projection {
    ($($part:ident $at:tt),+) => {
        impl<E: Event, $($part: Projection<Event = E>),+> Projection for ($($part,)+) {
            type Event = E;
            type State = ($($part::State,)+);

            fn initial(&self) -> Self::State {
                ($(self.$at.initial(),)+)
            }

            fn query(&self) -> Query {
                Query::none()$(.or(self.$at.query()))+
            }

            fn apply(&self, state: &mut Self::State, event: &Recorded<E>) {
                self.apply_parts(&self.parts(), state, event);
            }

            fn name(&self) -> Cow<'_, str> {
                Cow::Owned(format!("({})", [$(self.$at.name()),+].join(", ")))
            }

            fn version(&self) -> u32 {
                combined(&[$(self.$at.version()),+])
            }

            fn parts(&self) -> Parts {
                // A query that is not valid is an error of the whole tuple, whose query has it too.
                let part = |query: Query, parts| (query.of::<E>().unwrap_or(Query::none()), parts);
                Parts(vec![$(part(self.$at.query(), self.$at.parts())),+])
            }

            fn apply_parts(&self, parts: &Parts, state: &mut Self::State, event: &Recorded<E>) {
                let names = Names::of(&event.event);
                $(
                    let (query, parts_of_part) = &parts.0[$at];
                    if names.match_query(query) {
                        self.$at.apply_parts(parts_of_part, &mut state.$at, event);
                    }
                )+
            }
        }
    };
}

tuple_is_projection!(A 0, B 1);
tuple_is_projection!(A 0, B 1, C 2);
tuple_is_projection!(A 0, B 1, C 2, D 3);
tuple_is_projection!(A 0, B 1, C 2, D 3, F 4);
tuple_is_projection!(A 0, B 1, C 2, D 3, F 4, G 5);
tuple_is_projection!(A 0, B 1, C 2, D 3, F 4, G 5, H 6);
tuple_is_projection!(A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7);
