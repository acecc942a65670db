//! The id of a lease.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Identifies a lease: one delivery of one event of a group. A later delivery of the event has another id.
///
/// Its text has at most 64 characters, which are letters, digits and dots, and cannot be guessed. It stays valid when
/// the process ends and the group is opened again with [`keep_leases`](crate::GroupBuilder::keep_leases), so a server
/// can hand it to a worker on another machine.
///
/// ```
/// use annals_consumer::LeaseId;
/// let text = "0.6c84fb9012c411e1840d7b25c5ee775a.17";
/// let id: LeaseId = text.parse()?;
/// assert_eq!((id.offset(), id.to_string().as_str()), (17, text));
/// assert!("17".parse::<LeaseId>().is_err());
/// # Ok::<(), annals_consumer::InvalidLeaseId>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId {
    /// The number of times that the group was reset before.
    pub(crate) epoch: u32,
    /// The pull that returned the event. No pull returns an event twice.
    pub(crate) pull: Uuid,
    pub(crate) offset: u64,
}

/// A text is not the id of a lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the id of a lease; give an id as a delivery has it")]
pub struct InvalidLeaseId {
    /// The text.
    pub text: String,
}

impl LeaseId {
    /// Returns the offset of the event.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}.{}", self.epoch, self.pull.simple(), self.offset)
    }
}

impl FromStr for LeaseId {
    type Err = InvalidLeaseId;

    fn from_str(text: &str) -> Result<Self, InvalidLeaseId> {
        let parse = || {
            let (epoch, rest) = text.split_once('.')?;
            let (pull, offset) = rest.split_once('.')?;
            let epoch = u32::from_str_radix(epoch, 16).ok()?;
            let pull = Uuid::try_parse(pull).ok()?;
            let id = Self { epoch, pull, offset: offset.parse().ok()? };
            // One text for each id.
            (id.to_string() == text).then_some(id)
        };
        parse().ok_or_else(|| InvalidLeaseId { text: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_text_of_at_most_64_characters() {
        let longest =
            LeaseId { epoch: u32::MAX, pull: Uuid::from_u128(u128::MAX), offset: u64::MAX };
        let text = longest.to_string();
        assert!(text.len() <= 64, "{text}");
        assert_eq!(text.parse(), Ok(longest));
        let pull = "6c84fb9012c411e1840d7b25c5ee775a";
        for bad in [
            String::new(),
            "..".into(),
            format!("0.{pull}."),
            format!("0.{pull}.-1"),
            format!("0.{pull}.+1"),
            format!("0.{pull}.01"),
            format!("00.{pull}.1"),
            format!("0.{}.1", pull.to_uppercase()),
            format!("0.{pull}.1.2"),
            format!("0.{pull}.99999999999999999999"),
            format!("0.{{{pull}}}.1"),
        ] {
            assert!(bad.parse::<LeaseId>().is_err(), "{bad}");
        }
    }
}
