//! What a client may do, and which right a request needs.

use http::Method;

use crate::call::Call;

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rights(u8);

impl Rights {
    pub(crate) const READ: Self = Self(1);
    pub(crate) const APPEND: Self = Self(2);
    pub(crate) const CONSUME: Self = Self(4);
    pub(crate) const ADMIN: Self = Self(8);

    /// The rights and their names in the token file.
    const NAMES: [(&str, Self); 4] = [
        ("read", Self::READ),
        ("append", Self::APPEND),
        ("consume", Self::CONSUME),
        ("admin", Self::ADMIN),
    ];

    /// Returns the rights of a list such as `read,append`.
    pub(super) fn parse(list: &str) -> Result<Self, String> {
        let mut rights = Self::default();
        for name in list.split(',') {
            let Some((_, right)) = Self::NAMES.iter().find(|(known, _)| *known == name) else {
                return Err(format!(
                    "{name:?} is not a right; there are read, append, consume and admin, separated by commas"
                ));
            };
            rights.0 |= right.0;
        }
        Ok(rights)
    }

    /// Returns whether all rights of `other` are in this set.
    pub(crate) fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the names of the rights, for messages.
    pub(crate) fn names(self) -> String {
        let names = Self::NAMES.iter().filter(|(_, right)| self.contain(*right));
        names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// Returns whether a path of the inspector shows nothing of the log: its files, and the way in and out.
fn is_open(path: &str) -> bool {
    matches!(path, "/" | "/ui/login" | "/ui/logout") || path.starts_with("/ui/assets/")
}

/// Returns the right that a request needs; `None` if every client may send it.
pub(crate) fn needed(method: &Method, path: &str) -> Option<Rights> {
    if path.starts_with("/grpc.health.v1.Health/") || path.starts_with("/health/") || is_open(path)
    {
        return None;
    }
    if path.starts_with("/umadb.v1.DCB/") || path.starts_with("/umadb.UmaDBService/") {
        return Some(match Call::of(path) {
            Some(Call::Read | Call::Subscribe | Call::Head | Call::GetTrackingInfo) => Rights::READ,
            _ => Rights::APPEND,
        });
    }
    if let Some(group) = path.strip_prefix("/v1/groups") {
        let works = ["/pull", "/ack", "/nack", "/extend"].iter().any(|work| group.ends_with(work));
        return Some(match *method {
            Method::GET | Method::HEAD => Rights::READ,
            Method::POST if works => Rights::CONSUME,
            _ => Rights::ADMIN,
        });
    }
    match (method, path) {
        (&Method::POST, "/v1/events") => Some(Rights::APPEND),
        (&Method::POST, "/v1/verify") => Some(Rights::ADMIN),
        (&Method::POST, path) if path.starts_with("/ui/") => Some(Rights::ADMIN),
        _ => Some(Rights::READ),
    }
}
