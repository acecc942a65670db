//! The errors of fields: each states the rule and the value that was found.

/// A value that is not valid for its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidField {
    /// Hex without `0x`.
    #[error("{what} begins with 0x")]
    NoPrefix {
        /// The name of the kind of value, for example `a hash`.
        what: &'static str,
    },
    /// A character that is not a hex digit.
    #[error("{what} has only hex digits after 0x; found {found:?} at byte {at}")]
    NoHexDigit {
        /// The name of the kind of value, for example `a hash`.
        what: &'static str,
        /// The character.
        found: char,
        /// The byte offset of the character.
        at: usize,
    },
    /// Too many or too few digits.
    #[error("{what} has {expected} hex digits after 0x; found {found}")]
    WrongLength {
        /// The name of the kind of value, for example `a hash`.
        what: &'static str,
        /// The number of digits that the value must have.
        expected: usize,
        /// The number of digits found.
        found: usize,
    },
    /// An address in mixed case with a wrong EIP-55 checksum.
    #[error("an address in mixed case must have its EIP-55 checksum: {expected}; found {found}")]
    Checksum {
        /// The address with the right checksum.
        expected: String,
        /// The address as it was written.
        found: String,
    },
    /// An amount that is not a string of decimal digits, or has leading zeros.
    #[error("an amount is a string of decimal digits without leading zeros; found {found:?}")]
    NoAmount {
        /// The text, cut after 100 characters.
        found: String,
    },
    /// An amount above 2^256 - 1.
    #[error("an amount is at most 2^256 - 1; found {found}")]
    AmountTooLarge {
        /// The text, cut after 100 characters.
        found: String,
    },
    /// Too many or too few participants.
    #[error("a channel has 2 to 255 participants; found {found}")]
    ParticipantCount {
        /// The number of participants.
        found: usize,
    },
    /// An event of a version other than 1.
    #[error("event_version must be 1; found {found}: a newer program may have written the event")]
    EventVersion {
        /// The version found.
        found: u64,
    },
}
