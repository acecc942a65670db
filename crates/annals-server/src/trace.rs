//! The header `traceparent` of W3C Trace Context: which trace of the client a request belongs to.

use std::sync::Arc;

use http::HeaderMap;

/// The name of the header, and of the metadata into which the server writes it if it is told to.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// Returns the value of the header if it is valid in version 00. Another value is ignored, as the standard says.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<Arc<str>> {
    let value = headers.get(TRACEPARENT)?.to_str().ok()?;
    is_valid(value).then(|| value.into())
}

/// Returns whether a text is a `traceparent` of version 00.
pub(crate) fn is_valid(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let [version, trace, parent, flags] = *parts else { return false };
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    version == "00"
        && hex(trace, 32)
        && hex(parent, 16)
        && hex(flags, 2)
        && !is_zero(trace)
        && !is_zero(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_values_of_version_00_count() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_valid(good));
        for bad in [
            String::new(),
            good.to_uppercase(),
            good.replacen("00-", "01-", 1),
            good.replacen("00-", "ff-", 1),
            format!("{good}-x"),
            good[1..].to_owned(),
            good.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            good.replace('b', "g"),
            good.replace("-01", "-é"),
        ] {
            assert!(!is_valid(&bad), "{bad}");
        }
    }
}
