//! What can be wrong with a field of an event: the rule, and what was found.

/// A value that a field cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidField {
    /// Hex without `0x`.
    #[error("{what} begins with 0x")]
    NoPrefix {
        /// What it should be.
        what: &'static str,
    },
    /// Something that is no hex digit.
    #[error("{what} is made of hex digits; found {found:?} at {at}")]
    NoHexDigit {
        /// What it should be.
        what: &'static str,
        /// The character.
        found: char,
        /// The byte at which it stands.
        at: usize,
    },
    /// Too many or too few digits.
    #[error("{what} has {expected} hex digits behind 0x; found {found}")]
    WrongLength {
        /// What it should be.
        what: &'static str,
        /// How many it has.
        expected: usize,
        /// How many were found.
        found: usize,
    },
    /// An address in mixed case whose checksum is wrong.
    #[error("an address in mixed case has its EIP-55 checksum: {expected}; found {found}")]
    Checksum {
        /// With the right checksum.
        expected: String,
        /// The address.
        found: String,
    },
    /// An amount that is no number, or not written as one is.
    #[error("an amount is a string of decimal digits without leading zeros; found {found:?}")]
    NoAmount {
        /// The text.
        found: String,
    },
    /// An amount that does not fit.
    #[error("an amount is at most 2^256 - 1; found {found}")]
    AmountTooLarge {
        /// The text.
        found: String,
    },
    /// Too many or too few participants.
    #[error("a channel has 2 to 255 participants; found {found}")]
    ParticipantCount {
        /// How many.
        found: usize,
    },
    /// An event of another version.
    #[error("event_version is 1; found {found}: a newer program may have written it")]
    EventVersion {
        /// The version.
        found: u64,
    },
}
