//! What a request failed with, before a face writes it in its own words: one table for gRPC and HTTP.

use annals::{AppendError, InvalidQuery, ReadError};
use http::StatusCode;
use serde_json::{Map, Value};
use tonic::Code;

/// A failed request: its kind, a message for a person, and the fields that a program can use.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) fields: Map<String, Value>,
}

/// The fields of all failures. `openapi.json` describes them.
pub(crate) const FIELDS: [&str; 9] =
    ["ahead_ms", "condition", "done", "field", "head", "id", "index", "lost", "offset"];

/// Defines the kinds: of each the HTTP status, and the name at the end of the problem's `type`. docs/SERVER.md lists them.
macro_rules! kinds {
    ($($kind:ident: $status:ident $name:literal,)+) => {
        /// The kind of a failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($kind,)+
        }

        impl Kind {
            /// All kinds.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$kind,)+];

            /// Returns the HTTP status, and the name at the end of the problem's `type`.
            pub(crate) fn http(self) -> (StatusCode, &'static str) {
                match self {
                    $(Self::$kind => (StatusCode::$status, $name),)+
                }
            }
        }
    };
}

kinds! {
    Conflict: CONFLICT "conflict",
    IdConflict: CONFLICT "id-conflict",
    InvalidEvent: BAD_REQUEST "invalid-event",
    InvalidRequest: BAD_REQUEST "invalid-request",
    BatchTooLarge: PAYLOAD_TOO_LARGE "batch-too-large",
    RequestTooLarge: PAYLOAD_TOO_LARGE "request-too-large",
    SlowRequest: REQUEST_TIMEOUT "slow-request",
    EventTooLarge: PAYLOAD_TOO_LARGE "event-too-large",
    StateTooLarge: PAYLOAD_TOO_LARGE "state-too-large",
    Unauthenticated: UNAUTHORIZED "unauthenticated",
    Forbidden: FORBIDDEN "forbidden",
    UnknownHost: MISDIRECTED_REQUEST "unknown-host",
    ForeignOrigin: FORBIDDEN "foreign-origin",
    MediaType: UNSUPPORTED_MEDIA_TYPE "media-type",
    NotFound: NOT_FOUND "not-found",
    Method: METHOD_NOT_ALLOWED "method",
    RangeNotSatisfiable: RANGE_NOT_SATISFIABLE "range",
    NoGroup: NOT_FOUND "no-group",
    GroupExists: CONFLICT "group-exists",
    GroupHeld: CONFLICT "group-held",
    LeaseLost: CONFLICT "lease-lost",
    NotParked: CONFLICT "not-parked",
    PositionBeyondHead: CONFLICT "position-beyond-head",
    Damaged: INTERNAL_SERVER_ERROR "damaged",
    Io: INTERNAL_SERVER_ERROR "io",
    NoRoom: INSUFFICIENT_STORAGE "no-room",
    Poisoned: SERVICE_UNAVAILABLE "poisoned",
    Unavailable: SERVICE_UNAVAILABLE "unavailable",
    InDoubt: GATEWAY_TIMEOUT "in-doubt",
    Diverged: SERVICE_UNAVAILABLE "diverged",
    ClockAhead: SERVICE_UNAVAILABLE "clock-ahead",
    ReadOnly: SERVICE_UNAVAILABLE "read-only",
    Closing: SERVICE_UNAVAILABLE "closing",
    Busy: TOO_MANY_REQUESTS "busy",
    Overloaded: SERVICE_UNAVAILABLE "overloaded",
    Internal: INTERNAL_SERVER_ERROR "internal",
}

/// UmaDB's categories of errors, by their numbers in its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorType {
    Io = 0,
    Integrity = 2,
    Corruption = 3,
    Internal = 4,
    Authentication = 5,
    InvalidArgument = 6,
}

impl Kind {
    /// Returns the gRPC code, and the category of UmaDB's contract. Without a category, clients go by the code.
    pub(crate) fn grpc(self) -> (Code, Option<ErrorType>) {
        use ErrorType as Type;
        match self {
            Self::Conflict | Self::IdConflict => (Code::FailedPrecondition, Some(Type::Integrity)),
            Self::InvalidEvent | Self::InvalidRequest | Self::BatchTooLarge | Self::MediaType => {
                (Code::InvalidArgument, Some(Type::InvalidArgument))
            }
            Self::EventTooLarge
            | Self::StateTooLarge
            | Self::RequestTooLarge
            | Self::RangeNotSatisfiable => (Code::OutOfRange, None),
            Self::Unauthenticated => (Code::Unauthenticated, Some(Type::Authentication)),
            Self::Forbidden | Self::UnknownHost | Self::ForeignOrigin => {
                (Code::PermissionDenied, Some(Type::Authentication))
            }
            Self::NotFound | Self::Method => (Code::Unimplemented, None),
            Self::NoGroup => (Code::NotFound, None),
            Self::GroupExists
            | Self::GroupHeld
            | Self::LeaseLost
            | Self::NotParked
            | Self::PositionBeyondHead => (Code::FailedPrecondition, None),
            Self::Damaged => (Code::DataLoss, Some(Type::Corruption)),
            Self::Io => (Code::Internal, Some(Type::Io)),
            Self::NoRoom | Self::Busy | Self::Overloaded => {
                (Code::ResourceExhausted, Some(Type::Io))
            }
            Self::Poisoned | Self::Diverged | Self::ReadOnly => {
                (Code::FailedPrecondition, Some(Type::Io))
            }
            // Clients repeat a call after this code by themselves, so nothing of the batch may be in the log.
            Self::Closing | Self::Unavailable | Self::ClockAhead => (Code::Unavailable, None),
            // gRPC's code for a call that may have succeeded.
            Self::InDoubt | Self::SlowRequest => (Code::DeadlineExceeded, None),
            Self::Internal => (Code::Internal, Some(Type::Internal)),
        }
    }

    /// Returns the seconds after which a client may repeat the request, if the failure passes by itself.
    pub(crate) fn retry_after(self) -> Option<u64> {
        matches!(self, Self::Closing | Self::Busy | Self::Overloaded | Self::Unavailable)
            .then_some(1)
    }
}

impl Fault {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), fields: Map::new() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequest, message)
    }

    /// Returns the failure of a request that comes while the server ends.
    pub(crate) fn closing() -> Self {
        Self::new(Kind::Closing, "the server is shutting down; repeat the request later")
    }

    /// Adds a field for programs.
    #[must_use]
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        debug_assert!(FIELDS.contains(&field), "{field:?} is not described");
        self.fields.insert(field.to_owned(), value.into());
        self
    }
}

impl From<InvalidQuery> for Fault {
    fn from(error: InvalidQuery) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::InvalidQuery(_) => Kind::InvalidRequest,
            ReadError::Corrupt(_) | ReadError::Decode { .. } => Kind::Damaged,
            ReadError::Io { .. } => Kind::Io,
            _ => Kind::Internal,
        };
        let fault = Self::new(kind, error.to_string());
        match error {
            ReadError::Corrupt(damage) => fault.with("offset", damage.offset),
            ReadError::Decode { offset, .. } => fault.with("offset", offset),
            _ => fault,
        }
    }
}

impl From<AppendError> for Fault {
    fn from(error: AppendError) -> Self {
        let kind = match &error {
            AppendError::Conflict { .. } => Kind::Conflict,
            AppendError::IdConflict { .. } => Kind::IdConflict,
            AppendError::Invalid { .. } | AppendError::IdTwice { .. } => Kind::InvalidEvent,
            AppendError::BatchTooLong { .. } | AppendError::BatchTooLarge { .. } => {
                Kind::BatchTooLarge
            }
            AppendError::InvalidCondition(_)
            | AppendError::ConditionBeyondHead { .. }
            | AppendError::TimeGoesBack { .. }
            | AppendError::TimeInFuture { .. } => Kind::InvalidRequest,
            AppendError::NoRoom { .. } => Kind::NoRoom,
            AppendError::Failed { .. } => Kind::Io,
            AppendError::Poisoned { .. } => Kind::Poisoned,
            AppendError::Unavailable { .. } => Kind::Unavailable,
            AppendError::InDoubt { .. } => Kind::InDoubt,
            AppendError::Diverged { .. } => Kind::Diverged,
            AppendError::ClockAhead { .. } => Kind::ClockAhead,
            AppendError::ReadOnly => Kind::ReadOnly,
            AppendError::Closed => Kind::Closing,
            AppendError::Read(error) => return error.clone().into(),
            _ => Kind::Internal,
        };
        let fault = Self::new(kind, error.to_string());
        match error {
            AppendError::Conflict { offset, condition } => {
                fault.with("offset", offset).with("condition", condition)
            }
            AppendError::IdConflict { id, offset, .. } => {
                fault.with("id", id).with("offset", offset)
            }
            AppendError::Invalid { index, source } => {
                Self { message: format!("event {index}: {source}"), ..fault.with("index", index) }
            }
            AppendError::IdTwice { id } => fault.with("id", id),
            AppendError::ClockAhead { ahead_ms } => fault.with("ahead_ms", ahead_ms),
            _ => fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_of_a_log_have_their_codes() {
        let corruption = annals::Corruption {
            file: "a".into(),
            position: 0,
            offset: 7,
            expected: String::new(),
            found: String::new(),
        };
        for (fault, status, name, code) in [
            (
                AppendError::Conflict { offset: 1, condition: 0 }.into(),
                409,
                "conflict",
                Code::FailedPrecondition,
            ),
            (AppendError::ReadOnly.into(), 503, "read-only", Code::FailedPrecondition),
            (AppendError::Closed.into(), 503, "closing", Code::Unavailable),
            (
                AppendError::IdTwice { id: "x".into() }.into(),
                400,
                "invalid-event",
                Code::InvalidArgument,
            ),
            (ReadError::Corrupt(corruption).into(), 500, "damaged", Code::DataLoss),
            (Fault::new(Kind::NoRoom, ""), 507, "no-room", Code::ResourceExhausted),
            (Fault::new(Kind::Poisoned, ""), 503, "poisoned", Code::FailedPrecondition),
            (Fault::new(Kind::Busy, ""), 429, "busy", Code::ResourceExhausted),
            (Fault::new(Kind::Overloaded, ""), 503, "overloaded", Code::ResourceExhausted),
            (Fault::new(Kind::Io, ""), 500, "io", Code::Internal),
            (Fault::new(Kind::Internal, ""), 500, "internal", Code::Internal),
            (Fault::new(Kind::Unauthenticated, ""), 401, "unauthenticated", Code::Unauthenticated),
            (Fault::new(Kind::Forbidden, ""), 403, "forbidden", Code::PermissionDenied),
        ] as [(Fault, u16, &str, Code); 13]
        {
            let (found, word) = fault.kind.http();
            assert_eq!((found.as_u16(), word, fault.kind.grpc().0), (status, name, code));
        }
        // A client repeats these by itself, so they have no category.
        assert_eq!(Kind::Closing.grpc().1, None);
        assert_eq!(Kind::Closing.retry_after(), Some(1));
    }

    #[test]
    fn the_errors_of_a_replicated_log_are_told_apart() {
        let cause = || "the server is away".into();
        for (error, status, name, code, retry_after) in [
            (
                AppendError::Unavailable { cause: cause() },
                503,
                "unavailable",
                Code::Unavailable,
                Some(1),
            ),
            (
                AppendError::InDoubt { cause: cause() },
                504,
                "in-doubt",
                Code::DeadlineExceeded,
                None,
            ),
            (
                AppendError::Diverged { cause: cause() },
                503,
                "diverged",
                Code::FailedPrecondition,
                None,
            ),
            (
                AppendError::ClockAhead { ahead_ms: 12_000 },
                503,
                "clock-ahead",
                Code::Unavailable,
                None,
            ),
        ] {
            let fault = Fault::from(error);
            let (found, word) = fault.kind.http();
            assert_eq!((found.as_u16(), word), (status, name));
            assert_eq!(
                (fault.kind.grpc().0, fault.kind.retry_after()),
                (code, retry_after),
                "{name}"
            );
            let ahead_ms = fault.fields.get("ahead_ms").and_then(Value::as_u64);
            assert_eq!(ahead_ms.is_some(), name == "clock-ahead");
        }
    }

    /// Returns the kinds in the table of docs/SERVER.md: the name, the statuses of its row, and whether the row names
    /// the header `Retry-After`.
    fn documented() -> Vec<(String, Vec<u16>, bool)> {
        let page = std::fs::read_to_string("../../docs/SERVER.md").unwrap();
        let table = page.split("| status | kinds |").nth(1).unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let mut kinds = Vec::new();
        for row in rows {
            let cells: Vec<&str> = row.split('|').collect();
            let statuses: Vec<u16> =
                cells[1].split(',').map(|status| status.trim().parse().unwrap()).collect();
            // Fields of a problem, in parentheses, are not kinds.
            let outside: String = cells[2]
                .split('(')
                .map(|part| part.split_once(')').map_or(part, |(_, after)| after))
                .collect();
            let retries = cells[2].contains("`Retry-After`");
            let is_kind = |word: &&str| word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-'));
            for name in outside.split('`').skip(1).step_by(2).filter(is_kind) {
                kinds.push((name.to_owned(), statuses.clone(), retries));
            }
        }
        kinds
    }

    #[test]
    fn the_documentation_has_every_kind() {
        let documented = documented();
        for kind in Kind::ALL {
            let (status, name) = kind.http();
            let rows: Vec<_> = documented.iter().filter(|(known, ..)| known == name).collect();
            let [(_, statuses, retries)] = rows[..] else {
                panic!("{name} has {} rows", rows.len())
            };
            assert!(statuses.contains(&status.as_u16()), "{name}: {statuses:?}");
            assert_eq!(*retries, kind.retry_after().is_some(), "{name}");
        }
        assert_eq!(documented.len(), Kind::ALL.len(), "{documented:?}");
    }
}
