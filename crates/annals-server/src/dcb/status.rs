//! A failure in the terms of gRPC and of UmaDB's contract.

use bytes::Bytes;
use prost::Message as _;
use tonic::{Code, Status};

use super::messages::ErrorResponse;
use crate::fault::Fault;

/// The longest message of a status, in bytes. It travels in a header, which proxies limit.
const MAX_MESSAGE: usize = 2_048;

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let (code, error_type) = fault.kind.grpc();
        let mut message = fault.message;
        if message.len() > MAX_MESSAGE {
            message.truncate(message.floor_char_boundary_below(MAX_MESSAGE));
            message.push('…');
        }
        match error_type {
            // The details are the bare message, as UmaDB's clients expect them.
            Some(error_type) => {
                let details =
                    ErrorResponse { message: message.clone(), error_type: error_type as i32 };
                Self::with_details(code, message, Bytes::from(details.encode_to_vec()))
            }
            None => Self::new(code, message),
        }
    }
}

/// Finds the end of a character at or before a byte.
trait FloorCharBoundary {
    fn floor_char_boundary_below(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_below(&self, at: usize) -> usize {
        (0..=at).rev().find(|&at| self.is_char_boundary(at)).unwrap_or(0)
    }
}

/// Returns the status of a method that the service has not.
pub(crate) fn unimplemented(path: &str) -> Status {
    Status::new(Code::Unimplemented, format!("there is no method {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;

    #[test]
    fn details_are_the_bare_message() {
        let status = Status::from(Fault::new(Kind::Conflict, "no"));
        assert_eq!(status.code(), Code::FailedPrecondition);
        let details = ErrorResponse::decode(status.details()).unwrap();
        assert_eq!((details.message.as_str(), details.error_type), ("no", 2));
        assert!(Status::from(Fault::closing()).details().is_empty());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let status = Status::from(Fault::invalid("é".repeat(MAX_MESSAGE) + "x"));
        assert!(status.message().len() <= MAX_MESSAGE + '…'.len_utf8());
    }
}
