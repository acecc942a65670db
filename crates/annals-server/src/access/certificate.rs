//! The name in a client's certificate: the common name of its subject.

use std::sync::Arc;

use super::tokens::{Hash, hash};

/// A certificate that a client showed in its TLS handshake, which checked it.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) hash: Hash,
    pub(crate) name: Arc<str>,
}

impl Certificate {
    /// Returns the identity in a certificate in DER.
    pub(crate) fn of(der: &[u8]) -> Self {
        let name = common_name(der).unwrap_or("certificate without a common name");
        Self { hash: hash(der), name: name.into() }
    }
}

/// The object identifier of a common name, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;

/// Returns the common name of the subject.
fn common_name(der: &[u8]) -> Option<&str> {
    let (SEQUENCE, certificate, _) = element(der)? else { return None };
    let (SEQUENCE, mut fields, _) = element(certificate)? else { return None };
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // The serial number, the algorithm, the issuer and the validity stand in front of the subject.
    for _ in 0..4 {
        fields = element(fields)?.2;
    }
    let (SEQUENCE, mut names, _) = element(fields)? else { return None };
    while !names.is_empty() {
        let (SET, mut parts, rest) = element(names)? else { return None };
        names = rest;
        while !parts.is_empty() {
            let (SEQUENCE, part, rest) = element(parts)? else { return None };
            parts = rest;
            let (OBJECT_IDENTIFIER, kind, value) = element(part)? else { return None };
            if kind == COMMON_NAME {
                let name = std::str::from_utf8(element(value)?.1).ok()?;
                return (!name.is_empty() && !name.chars().any(char::is_control)).then_some(name);
            }
        }
    }
    None
}

/// Returns the tag and the content of the first DER element, and the bytes behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            (digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn the_common_name_is_found_and_nothing_panics() {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "An organization");
        params.distinguished_name.push(DnType::CommonName, "billing");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der().to_vec();
        assert_eq!(&*Certificate::of(&der).name, "billing");
        for end in 0..der.len() {
            let _ = common_name(&der[..end]);
            let mut damaged = der.clone();
            damaged[end] ^= 0xff;
            let _ = common_name(&damaged);
        }
    }
}
