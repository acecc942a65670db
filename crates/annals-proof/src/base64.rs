//! base64 with the standard alphabet and padding. Every other form is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Returns the base64 of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64. Returns `None` if `text` is not valid base64.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_form_is_read() {
        assert_eq!(decode("AQ==").as_deref(), Some(&[1][..]));
        for other in ["AQ", "AQ=", "AR==", "AQ==\n", " AQ==", "A-==", "A_==", "====", "AQ==AQ=="] {
            assert_eq!(decode(other), None, "{other:?}");
        }
    }
}
