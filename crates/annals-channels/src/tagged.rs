//! The tags that a field adds to its event.

use annals::Tags;

use crate::fields::Participants;
use crate::hex::Hex;

/// A field that adds tags to its event. Hex in a tag is in lower case, so that equal bytes have equal tags.
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
    /// Adds a tag for each participant, or none if they are more than an event can have tags beside its channel and its
    /// objective. Tags of some participants would look like tags of all.
    fn tag(&self, name: &str, tags: &mut Tags) {
        if self.len() <= annals::MAX_TAGS - 2 {
            self.iter().for_each(|participant| participant.tag(name, tags));
        }
    }
}
