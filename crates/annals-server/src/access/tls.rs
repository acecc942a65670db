//! TLS: the server's certificate, and the authority of its clients' certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::error::ServeError;

/// The files of a server's TLS settings, in PEM.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_authority: Option<PathBuf>,
}

/// The TLS settings of addresses that ask clients for certificates, and of those that do not. Without an authority for
/// certificates of clients, they are the same.
#[derive(Debug)]
pub(crate) struct TlsConfigs {
    pub(crate) mutual: Arc<ServerConfig>,
    pub(crate) open: Arc<ServerConfig>,
}

impl TlsFiles {
    /// Reads the files.
    pub(crate) fn read(&self) -> Result<TlsConfigs, ServeError> {
        let open = self.config(None)?;
        let mutual = match &self.client_authority {
            None => Arc::clone(&open),
            authority => self.config(authority.as_ref())?,
        };
        Ok(TlsConfigs { mutual, open })
    }

    fn config(&self, authority: Option<&PathBuf>) -> Result<Arc<ServerConfig>, ServeError> {
        let failed =
            |path: &PathBuf, problem: String| ServeError::Tls { path: path.clone(), problem };
        let certificates = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unreadable(&self.key, error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&self.certificate, error.to_string()))?;
        let builder = match authority {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in self::certificates(path)? {
                    roots.add(authority).map_err(|error| failed(path, error.to_string()))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| failed(path, error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(certificates, key)
            .map_err(|error| failed(&self.certificate, error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(path, error))?;
    let certificates: Vec<_> =
        read.collect::<Result<_, _>>().map_err(|error| unreadable(path, error))?;
    if certificates.is_empty() {
        let problem = "the file has no certificate in PEM".into();
        return Err(ServeError::Tls { path: path.clone(), problem });
    }
    Ok(certificates)
}

/// Returns why a file in PEM could not be used: the system did not read it, or it is wrong.
fn unreadable(path: &Path, error: pem::Error) -> ServeError {
    let path = path.to_path_buf();
    match error {
        pem::Error::Io(source) => ServeError::File { path, source },
        other => ServeError::Tls { path, problem: other.to_string() },
    }
}
