//! The methods of the gRPC services.

/// A method of the gRPC services. Which one a request calls is decided here alone, for its rights, its metrics, the end
/// of its response and the face that answers it. Names are compared byte by byte: a client that encodes one, as
/// `%41ppend`, calls a method that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Append,
    Read,
    Subscribe,
    Head,
    GetTrackingInfo,
    Check,
    Watch,
}

impl Call {
    const DCB: [Self; 5] =
        [Self::Append, Self::Read, Self::Subscribe, Self::Head, Self::GetTrackingInfo];
    const HEALTH: [Self; 2] = [Self::Check, Self::Watch];

    /// Returns the method that a request calls, by its path; `None` if no service has it.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let (service, name) = path.strip_prefix('/')?.split_once('/')?;
        let methods = match service {
            // The second is the name of the service's first version.
            "umadb.v1.DCB" | "umadb.UmaDBService" => &Self::DCB[..],
            "grpc.health.v1.Health" => &Self::HEALTH,
            _ => return None,
        };
        methods.iter().copied().find(|method| method.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Append => "Append",
            Self::Read => "Read",
            Self::Subscribe => "Subscribe",
            Self::Head => "Head",
            Self::GetTrackingInfo => "GetTrackingInfo",
            Self::Check => "Check",
            Self::Watch => "Watch",
        }
    }

    /// Returns whether the response has one message.
    pub(crate) fn is_unary(self) -> bool {
        match self {
            Self::Append | Self::Head | Self::GetTrackingInfo | Self::Check => true,
            Self::Read | Self::Subscribe | Self::Watch => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_name_is_a_method() {
        for (service, methods) in [
            ("umadb.v1.DCB", &Call::DCB[..]),
            ("umadb.UmaDBService", &Call::DCB),
            ("grpc.health.v1.Health", &Call::HEALTH),
        ] {
            for method in methods {
                assert_eq!(Call::of(&format!("/{service}/{}", method.name())), Some(*method));
            }
            for name in ["%41ppend", "append", "Append/", "Append/x", "%43heck", "", "Other"] {
                assert_eq!(Call::of(&format!("/{service}/{name}")), None, "{name}");
            }
        }
        for path in ["/Append", "Append", "/umadb.v1.DCB/Check", "/other/Append", "/", ""] {
            assert_eq!(Call::of(path), None, "{path}");
        }
    }
}
