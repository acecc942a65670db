//! The client behind a request: its address, and the name of its token or certificate.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::access::access::Grant;
use crate::access::certificate::Certificate;
use crate::audit::Appender;
use crate::memory::Share;
use crate::shared::Shared;

/// The client behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) peer: SocketAddr,
    /// The name of the token or certificate; `None` if the server asks for neither.
    pub(crate) name: Option<Arc<str>>,
    /// The certificate that the client showed in its TLS handshake.
    pub(crate) certificate: Option<Certificate>,
    /// What the request was admitted with; `None` if the token file does not decide.
    pub(crate) grant: Option<Grant>,
    /// The trace of the client that the request belongs to.
    pub(crate) trace: Option<Arc<str>>,
    /// The memory that the request has taken.
    pub(crate) share: Arc<Share>,
}

impl Default for Client {
    fn default() -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), None)
    }
}

impl Client {
    /// Returns the client at an address, before its first request.
    pub(crate) fn at(peer: SocketAddr, certificate: Option<Certificate>) -> Self {
        Self { peer, name: None, certificate, grant: None, trace: None, share: Arc::default() }
    }

    pub(crate) fn appender(&self, shared: &Shared) -> Appender {
        let actor = self.name.clone().filter(|_| shared.signs);
        let trace = self.trace.clone().filter(|_| shared.traces);
        let unlogged = Arc::clone(&shared.unlogged);
        let share = Arc::clone(&self.share);
        Appender { name: self.name.clone(), peer: self.peer, actor, trace, unlogged, share }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}@{}", self.peer),
            None => write!(f, "{}", self.peer),
        }
    }
}
