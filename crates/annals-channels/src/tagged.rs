//! The tags that a field adds to its event.

use annals::Tags;

use crate::fields::Participants;
use crate::hex::Hex;

/// What a field adds to an event's tags. Hex is in lower case there, so that one thing has one tag.
pub(crate) trait Tagged {
    fn tag(&self, name: &str, tags: &mut Tags);
}

impl<const N: usize> Tagged for Hex<N> {
    fn tag(&self, name: &str, tags: &mut Tags) {
        tags.add(name, self.lower());
    }
}

impl Tagged for String {
    fn tag(&self, name: &str, tags: &mut Tags) {
        tags.add(name, self);
    }
}

impl<T: Tagged> Tagged for Option<T> {
    fn tag(&self, name: &str, tags: &mut Tags) {
        if let Some(value) = self {
            value.tag(name, tags);
        }
    }
}

impl Tagged for Participants {
    /// More of them than an event can have tags beside its channel and objective have none: part of them would be
    /// taken for all.
    fn tag(&self, name: &str, tags: &mut Tags) {
        if self.len() <= annals::MAX_TAGS - 2 {
            self.iter().for_each(|participant| participant.tag(name, tags));
        }
    }
}
