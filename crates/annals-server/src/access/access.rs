//! Who may do what on a server, and the files that say it, which are read again while the server runs.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use rustls::ServerConfig;

use super::certificate::Certificate;
use super::rights::Rights;
use super::sessions::Sessions;
use super::tls::{TlsConfigs, TlsFiles};
use super::tokens::{Tokens, hash};
use crate::error::ServeError;
use crate::fault::{Fault, Kind};

/// Who may do what on a server.
#[derive(Debug)]
pub(crate) struct Access {
    token_file: Option<PathBuf>,
    tls_files: Option<TlsFiles>,
    tokens: ArcSwapOption<Tokens>,
    tls: Option<ArcSwap<TlsConfigs>>,
    /// The browsers that gave a token.
    pub(crate) sessions: Sessions,
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

    /// Returns the name of the client, if it may do what needs this right. `session` is the id of a browser's session,
    /// which counts for pages only.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Certificate>,
        session: Option<&str>,
        needed: Rights,
    ) -> Result<Option<Arc<str>>, Fault> {
        let tokens = self.tokens.load();
        let known = match (&*tokens, certificate) {
            (None, None) => return Ok(None),
            // Without a token file, the authority alone decides.
            (None, Some(certificate)) => Some((Arc::clone(&certificate.name), Rights::ALL)),
            (Some(tokens), certificate) => bearer(headers)
                .and_then(|token| tokens.find(&hash(token)))
                // The token of a session is looked up again: it may not be in the file any more.
                .or_else(|| tokens.find(&self.sessions.token(session?)?))
                .or_else(|| tokens.find(&certificate?.hash)),
        };
        let Some((name, rights)) = known else {
            let message = "give a token that this server knows: authorization: Bearer TOKEN";
            return Err(Fault::new(Kind::Unauthenticated, message));
        };
        if !rights.contain(needed) {
            let message = format!(
                "{name:?} may not do this: it needs the right {}, and the token has {}",
                needed.names(),
                rights.names()
            );
            return Err(Fault::new(Kind::Forbidden, message));
        }
        Ok(Some(name))
    }
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
