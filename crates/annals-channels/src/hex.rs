//! Fixed-length bytes in `0x…` hex, which keep the case of the text that they were read from.
//!
//! An event's id is a hash of its text, so an event must be written as it was read. Each value therefore stores which
//! of its digits were in upper case. Only writing uses that: values are compared, sorted and hashed by their bytes.

use std::cmp::Ordering;
use std::fmt;
use std::hash;
use std::str::FromStr;

use alloy_primitives::B256;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::InvalidField;

/// A hash or an id: 32 bytes.
pub type Hash = Hex<32>;
/// An account: 20 bytes.
///
/// Events are decoded with addresses in any case, and an address keeps its case: other programs write mixed case, and
/// an event's id depends on it. An address that a person gives is parsed with [`str::parse`], which logs a warning if
/// the address is in mixed case without its EIP-55 checksum, because a digit may be wrong. [`Address::check_case`]
/// makes the same check and returns an error.
pub type Address = Hex<20>;
/// A recoverable secp256k1 signature of 65 bytes: r, s and v.
pub type Signature = Hex<65>;

/// `N` bytes. In text they are `0x` and two hex digits for each byte.
///
/// ```
/// use annals_channels::Address;
/// let address: Address = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A".parse()?;
/// assert_eq!(address.to_string(), "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A");
/// assert_eq!(address, "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a".parse()?);
/// let odd: Address = "0x19E7e376E7C213B7E7e7e46cc70A5dD086DAff2A".parse()?; // a warning is logged
/// assert_eq!((odd, odd.to_string().as_str()), (address, "0x19E7e376E7C213B7E7e7e46cc70A5dD086DAff2A"));
/// assert!(address.check_case().is_ok() && odd.check_case().is_err());
/// # Ok::<(), annals_channels::InvalidField>(())
/// ```
#[derive(Clone, Copy)]
pub struct Hex<const N: usize> {
    bytes: [u8; N],
    /// Bit i says that digit i is in upper case. 192 bits are enough for the 130 digits of a signature.
    upper: [u64; 3],
}

impl<const N: usize> Hex<N> {
    /// The name of the kind of value in errors.
    const WHAT: &str = match N {
        20 => "an address",
        65 => "a signature",
        _ => "a hash",
    };

    /// Makes a value of these bytes. Its text is in lower case.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self { bytes, upper: [0; 3] }
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; N] {
        &self.bytes
    }

    /// Returns the same bytes with text in lower case, as tags have it.
    #[must_use]
    pub const fn lower(self) -> Self {
        Self::new(self.bytes)
    }
}

impl Hash {
    pub(crate) fn alloy(self) -> B256 {
        self.bytes.into()
    }
}

impl From<B256> for Hash {
    fn from(hash: B256) -> Self {
        Self::new(hash.0)
    }
}

impl Address {
    /// Checks that an address in mixed case has its EIP-55 checksum. Meant for an address that a person gave.
    ///
    /// # Errors
    /// [`InvalidField::Checksum`], which has the address with the right checksum.
    pub fn check_case(&self) -> Result<(), InvalidField> {
        let found = self.to_string();
        let digits = &found.as_bytes()[2..];
        let (upper, lower) =
            (digits.iter().any(u8::is_ascii_uppercase), digits.iter().any(u8::is_ascii_lowercase));
        let expected = self.alloy().to_checksum(None);
        if upper && lower && found != expected {
            return Err(InvalidField::Checksum { expected, found });
        }
        Ok(())
    }

    /// Returns the address in mixed case with its EIP-55 checksum.
    pub(crate) fn checksummed(self) -> String {
        self.alloy().to_checksum(None)
    }

    pub(crate) fn alloy(self) -> alloy_primitives::Address {
        self.bytes.into()
    }
}

impl From<alloy_primitives::Address> for Address {
    fn from(address: alloy_primitives::Address) -> Self {
        Self::new(address.into_array())
    }
}

impl<const N: usize> FromStr for Hex<N> {
    type Err = InvalidField;

    /// Reads text that a person gave. Logs a warning for an address in mixed case without its checksum.
    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let read = Self::decode(text)?;
        if let Ok(bytes) = <[u8; 20]>::try_from(&read.bytes[..])
            && let Err(problem) = (Address { bytes, upper: read.upper }).check_case()
        {
            tracing::warn!("{problem}; a digit may be wrong");
        }
        Ok(read)
    }
}

impl<const N: usize> Hex<N> {
    /// Reads the text of an event, in any case, and keeps the case.
    fn decode(text: &str) -> Result<Self, InvalidField> {
        let what = Self::WHAT;
        let Some(digits) = text.strip_prefix("0x") else {
            return Err(InvalidField::NoPrefix { what });
        };
        if let Some((at, found)) =
            digits.char_indices().find(|(_, digit)| !digit.is_ascii_hexdigit())
        {
            return Err(InvalidField::NoHexDigit { what, found, at: at + 2 });
        }
        if digits.len() != 2 * N {
            return Err(InvalidField::WrongLength { what, expected: 2 * N, found: digits.len() });
        }
        let mut read = Self::new([0; N]);
        for (at, digit) in digits.bytes().enumerate() {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                _ => digit.to_ascii_lowercase() - b'a' + 10,
            };
            read.bytes[at / 2] = read.bytes[at / 2] << 4 | value;
            read.upper[at / 64] |= u64::from(digit.is_ascii_uppercase()) << (at % 64);
        }
        Ok(read)
    }

    /// Calls `use_text` with the text. Returns `None` for values longer than a signature, which nothing makes.
    fn with_text<R>(&self, use_text: impl FnOnce(&str) -> R) -> Option<R> {
        let mut buffer = [0; 2 + 2 * 65];
        let text = buffer.get_mut(..2 + 2 * N)?;
        text[..2].copy_from_slice(b"0x");
        alloy_primitives::hex::encode_to_slice(self.bytes, &mut text[2..]).ok()?;
        if self.upper != [0; 3] {
            for (at, digit) in text[2..].iter_mut().enumerate() {
                if self.upper[at / 64] >> (at % 64) & 1 == 1 {
                    digit.make_ascii_uppercase();
                }
            }
        }
        std::str::from_utf8(text).ok().map(use_text)
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text)).unwrap_or(Err(fmt::Error))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> PartialEq for Hex<N> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<const N: usize> Eq for Hex<N> {}

impl<const N: usize> PartialOrd for Hex<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for Hex<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl<const N: usize> hash::Hash for Hex<N> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
            .unwrap_or_else(|| Err(S::Error::custom("too long")))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::from_text(deserializer, "a string of 0x and hex digits", Self::decode)
    }
}

/// Any number of bytes as `0x…` hex, for fields whose text is not hashed.
pub(crate) mod bytes {
    use alloy_primitives::hex;
    use serde::{Deserializer, Serializer};

    use crate::error::InvalidField;

    /// Bytes that are parsed from text.
    struct Bytes(Vec<u8>);

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode_prefixed(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let parse = str::parse::<Bytes>;
        let read = crate::text::from_text(deserializer, "a string of 0x and hex digits", parse);
        read.map(|Bytes(bytes)| bytes)
    }

    impl std::str::FromStr for Bytes {
        type Err = InvalidField;

        fn from_str(text: &str) -> Result<Self, InvalidField> {
            let what = "data";
            let digits = text.strip_prefix("0x").ok_or(InvalidField::NoPrefix { what })?;
            let mut odd = digits.char_indices().filter(|(_, digit)| !digit.is_ascii_hexdigit());
            if let Some((at, found)) = odd.next() {
                return Err(InvalidField::NoHexDigit { what, found, at: at + 2 });
            }
            // All are hex digits, so only their number can be wrong.
            let found = digits.len();
            let expected = found.next_multiple_of(2);
            let wrong = |_| InvalidField::WrongLength { what, expected, found };
            hex::decode(digits).map(Self).map_err(wrong)
        }
    }
}

#[cfg(test)]
impl<const N: usize> schemars::JsonSchema for Hex<N> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Self::WHAT.rsplit(' ').next().unwrap().into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let pattern = format!("^0x[0-9a-fA-F]{{{}}}$", 2 * N);
        schemars::json_schema!({ "type": "string", "pattern": pattern })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<const N: usize>(text: &str) -> String {
        text.parse::<Hex<N>>().unwrap_err().to_string()
    }

    #[test]
    fn text_comes_back_in_its_case() {
        for text in [format!("0x{}", "aB".repeat(65)), format!("0x{}", "F0".repeat(65))] {
            assert_eq!(text.parse::<Signature>().unwrap().to_string(), text);
            assert_eq!(text.parse::<Signature>().unwrap(), text.to_lowercase().parse().unwrap());
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(error::<32>("ab"), "a hash begins with 0x");
        assert_eq!(error::<32>("0xabc"), "a hash has 64 hex digits after 0x; found 3");
        assert_eq!(
            error::<20>("0xag"),
            "an address has only hex digits after 0x; found 'g' at byte 3"
        );
        assert_eq!(
            error::<65>("0xé"),
            "a signature has only hex digits after 0x; found 'é' at byte 2"
        );
    }

    #[test]
    fn an_address_of_one_case_needs_no_checksum() {
        for text in ["ab".repeat(20), "AB".repeat(20), "12".repeat(20)] {
            format!("0x{text}").parse::<Address>().unwrap().check_case().unwrap();
        }
        let right = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A";
        right.parse::<Address>().unwrap().check_case().unwrap();
        let wrong = right.replacen('1', "2", 1).parse::<Address>().unwrap();
        assert!(wrong.check_case().unwrap_err().to_string().contains("EIP-55"));
    }

    #[test]
    fn an_address_is_its_bytes_and_keeps_its_text() {
        use std::collections::{BTreeSet, HashSet};
        let texts = ["aB", "Ab", "ab", "AB"].map(|pair| format!("0x{}", pair.repeat(20)));
        let json = |text: &String| serde_json::to_string(text).unwrap();
        let decoded: Vec<Address> =
            texts.iter().map(|text| serde_json::from_str(&json(text)).unwrap()).collect();
        for (address, text) in decoded.iter().zip(&texts) {
            assert_eq!(serde_json::to_string(address).unwrap(), json(text));
            assert_eq!(text.parse::<Address>().unwrap().to_string(), *text);
            assert_eq!(*address, decoded[0]);
        }
        assert_eq!(decoded.iter().collect::<HashSet<_>>().len(), 1);
        assert_eq!(decoded.iter().collect::<BTreeSet<_>>().len(), 1);
    }
}
