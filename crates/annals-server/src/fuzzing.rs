//! What the fuzz targets of the project call. It exists only in builds for fuzzing.

use annals::RawEvent;

use crate::access::certificate::Certificate;
use crate::access::hosts::name_of;
use crate::access::tokens::Tokens;
use crate::trace::is_valid;

/// Parses bytes as everything that the HTTP face takes. Returns the events of a batch.
pub fn http(input: &[u8]) -> Vec<RawEvent> {
    crate::http_face::fuzzing::parse(input)
}

/// Parses bytes as every message of the gRPC face, and checks that events come back as they were sent. Returns them.
pub fn grpc(input: &[u8]) -> Vec<RawEvent> {
    crate::dcb::fuzzing::parse(input)
}

/// Parses bytes as what a browser sends to the inspector, and shows them as data and as states.
pub fn pages(input: &[u8]) {
    crate::inspector::fuzzing::parse(input);
}

/// Parses bytes as the files and headers that say who may do what: token files, certificates, hosts and traces.
pub fn access(input: &[u8]) {
    let _ = Certificate::of(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Tokens::parse(text) {
        Ok(tokens) => drop(tokens.find(&[0; 32])),
        Err((line, problem)) => assert!(line > 0 && !problem.is_empty()),
    }
    assert!(text.starts_with(name_of(text)));
    assert!(!is_valid(text) || text.len() == 55, "{text:?}");
}
