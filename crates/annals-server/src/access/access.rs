//! Who may do what on a server, and the files that say it, which are read again while the server runs.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use rustls::ServerConfig;
use tokio::sync::watch;

use super::certificate::Certificate;
use super::rights::Rights;
use super::sessions::Sessions;
use super::tls::{TlsConfigs, TlsFiles};
use super::tokens::{Hash, Tokens, hash};
use crate::error::ServeError;
use crate::fault::{Fault, Kind};

/// The time between two checks of a grant whose files do not change: a session ends by itself.
const LOOK: Duration = Duration::from_secs(60);

/// How a client showed who it is.
#[derive(Debug, Clone, Copy)]
enum Proof {
    /// The hash of a token or of a certificate.
    Secret(Hash),
    /// The hash of a session's id.
    Session(Hash),
}

/// The proof that a request was admitted with, and the right that it needs. It can be checked again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    proof: Proof,
    needed: Rights,
}

/// An admitted client.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    /// The name of its token or certificate; `None` if the server asks for neither.
    pub(crate) name: Option<Arc<str>>,
    /// `None` if the token file does not decide.
    pub(crate) grant: Option<Grant>,
}

/// Who may do what on a server.
#[derive(Debug)]
pub(crate) struct Access {
    token_file: Option<PathBuf>,
    tls_files: Option<TlsFiles>,
    tokens: ArcSwapOption<Tokens>,
    tls: Option<ArcSwap<TlsConfigs>>,
    /// The browsers that gave a token.
    sessions: Sessions,
    /// Changes whenever a grant may have been lost.
    changes: watch::Sender<()>,
}

impl Access {
    /// Reads the token file and the TLS files, as far as there are any.
    pub(crate) fn read(
        token_file: Option<PathBuf>,
        tls_files: Option<TlsFiles>,
    ) -> Result<Self, ServeError> {
        let tokens = token_file.as_ref().map(read_tokens).transpose()?;
        let tls = tls_files.as_ref().map(TlsFiles::read).transpose()?;
        Ok(Self {
            token_file,
            tls_files,
            tokens: ArcSwapOption::new(tokens.map(Arc::new)),
            tls: tls.map(ArcSwap::from_pointee),
            sessions: Sessions::default(),
            changes: watch::Sender::default(),
        })
    }

    /// Reads the files again. Nothing changes if one of them is wrong.
    pub(crate) fn reload(&self) -> Result<(), ServeError> {
        let tokens = self.token_file.as_ref().map(read_tokens).transpose()?;
        let config = self.tls_files.as_ref().map(TlsFiles::read).transpose()?;
        self.tokens.store(tokens.map(Arc::new));
        if let (Some(tls), Some(config)) = (&self.tls, config) {
            tls.store(Arc::new(config));
        }
        self.changes.send_replace(());
        Ok(())
    }

    /// Returns the TLS settings for a new connection, of an address that asks for certificates or of another.
    pub(crate) fn tls(&self, mutual: bool) -> Option<Arc<ServerConfig>> {
        let configs = self.tls.as_ref()?.load();
        Some(Arc::clone(if mutual { &configs.mutual } else { &configs.open }))
    }

    /// Checks that clients can be asked for certificates.
    pub(crate) fn check_mutual(&self) -> Result<(), ServeError> {
        if self.wants_certificates() {
            return Ok(());
        }
        let message = "an address whose clients need certificates takes TLS and an authority";
        Err(ServeError::Start(message.into()))
    }

    fn wants_certificates(&self) -> bool {
        self.tls_files.as_ref().is_some_and(|files| files.client_authority.is_some())
    }

    /// Returns whether only clients that the server knows get anything, over TLS, at an address that asks for
    /// certificates or at another.
    pub(crate) fn is_closed_to_strangers(&self, mutual: bool) -> bool {
        self.tls.is_some() && (self.token_file.is_some() || mutual && self.wants_certificates())
    }

    /// Returns the id of a new session for a client that gives this token; `None` if the server does not know it.
    pub(crate) fn sign_in(&self, token: &[u8]) -> Option<String> {
        let hash = hash(token);
        self.tokens.load().as_ref()?.find(&hash)?;
        Some(self.sessions.begin(hash))
    }

    /// Ends a session.
    pub(crate) fn sign_out(&self, id: &str) {
        self.sessions.end(id);
        self.changes.send_replace(());
    }

    /// Returns the client, if it may do what needs this right. `session` is the id of a browser's session, which counts
    /// for pages only.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Certificate>,
        session: Option<&str>,
        needed: Rights,
    ) -> Result<Admitted, Fault> {
        let tokens = self.tokens.load();
        let tokens = match (&*tokens, certificate) {
            (None, None) => return Ok(Admitted::default()),
            // Without a token file, the authority alone decides.
            (None, Some(certificate)) => {
                return Ok(Admitted { name: Some(Arc::clone(&certificate.name)), grant: None });
            }
            (Some(tokens), _) => tokens,
        };
        let proofs = [
            bearer(headers).map(|token| Proof::Secret(hash(token))),
            session.map(|id| Proof::Session(hash(id.as_bytes()))),
            certificate.map(|certificate| Proof::Secret(certificate.hash)),
        ];
        let known = proofs
            .into_iter()
            .flatten()
            .find_map(|proof| Some((self.find(tokens, proof)?, Grant { proof, needed })));
        let Some((known, grant)) = known else {
            let message = "give a token that this server knows: authorization: Bearer TOKEN";
            return Err(Fault::new(Kind::Unauthenticated, message));
        };
        let name = check_rights(known, needed)?;
        Ok(Admitted { name: Some(name), grant: Some(grant) })
    }

    /// Returns the name and the rights of a proof. The token of a session may not be in the file any more.
    fn find(&self, tokens: &Tokens, proof: Proof) -> Option<(Arc<str>, Rights)> {
        match proof {
            Proof::Secret(hash) => tokens.find(&hash),
            Proof::Session(id) => tokens.find(&self.sessions.token(&id)?),
        }
    }

    /// Checks whether a grant still holds.
    fn check(&self, grant: &Grant) -> Result<(), Fault> {
        let tokens = self.tokens.load();
        let Some(tokens) = &*tokens else { return Ok(()) };
        let Some(known) = self.find(tokens, grant.proof) else {
            let message = "the server does not know the token of this request any more";
            return Err(Fault::new(Kind::Unauthenticated, message));
        };
        check_rights(known, grant.needed).map(drop)
    }

    /// Waits until a grant does not hold any more, and returns why.
    pub(crate) async fn lost(&self, grant: Grant) -> Fault {
        let mut changes = self.changes.subscribe();
        loop {
            if let Err(fault) = self.check(&grant) {
                return fault;
            }
            // The end of the time is not an error, and the sender lives as long as this value.
            let _ = tokio::time::timeout(LOOK, changes.changed()).await;
        }
    }
}

/// Returns the name of a client that has the right.
fn check_rights((name, rights): (Arc<str>, Rights), needed: Rights) -> Result<Arc<str>, Fault> {
    if rights.contain(needed) {
        return Ok(name);
    }
    let message = format!(
        "{name:?} may not do this: it needs the right {}, and the token has {}",
        needed.names(),
        rights.names()
    );
    Err(Fault::new(Kind::Forbidden, message))
}

/// Returns the token of a request.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn read_tokens(path: &PathBuf) -> Result<Tokens, ServeError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ServeError::File { path: path.clone(), source })?;
    Tokens::parse(&text).map_err(|(line, problem)| ServeError::Tokens {
        path: path.clone(),
        line,
        problem,
    })
}
