//! Certificates, tokens, and requests over TLS.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};

use super::{Response, connect, exchange};

/// Returns a line of a token file.
pub(crate) fn token_line(name: &str, secret: &[u8], rights: &str) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(secret) {
        write!(hex, "{byte:02x}").unwrap();
    }
    format!("{name} {hex} {rights}\n")
}

/// Writes a server's certificate, and an authority with a certificate of a client.
pub(crate) fn certificates(directory: &Path) {
    let write = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".into()]).unwrap();
    write("server.pem", server.self_signed(&key).unwrap().pem());
    write("server.key", key.serialize_pem());
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("authority.pem", authority.self_signed(&authority_key).unwrap().pem());
    let issuer = Issuer::new(authority, authority_key);
    let client_key = KeyPair::generate().unwrap();
    let mut client = CertificateParams::default();
    client.distinguished_name.push(DnType::CommonName, "billing");
    write("client.pem", client.signed_by(&client_key, &issuer).unwrap().pem());
    write("client.key", client_key.serialize_pem());
}

/// Returns the beginning of a client that trusts the server's certificate in a directory.
fn client(
    directory: &Path,
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("server.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots)
}

/// Makes a connection with one version of TLS. Returns the protocol that the server chose for it.
pub(crate) fn negotiated(
    directory: &Path,
    address: std::net::SocketAddr,
    version: &'static SupportedProtocolVersion,
    protocols: &[&[u8]],
) -> Option<Vec<u8>> {
    let mut config = client(directory, &[version]).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = "localhost".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = connect(address);
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).unwrap();
    }
    assert_eq!(tls.protocol_version(), Some(version.version));
    tls.alpn_protocol().map(<[u8]>::to_vec)
}

/// Sends a request over TLS, with the client's certificate or without.
pub(crate) fn over_tls(
    directory: &Path,
    address: std::net::SocketAddr,
    with_certificate: bool,
    request: &[u8],
) -> Option<Response> {
    let builder = client(directory, rustls::DEFAULT_VERSIONS);
    let config = if with_certificate {
        let certificate = CertificateDer::from_pem_file(directory.join("client.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(directory.join("client.key")).unwrap();
        builder.with_client_auth_cert(vec![certificate], key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let name = "localhost".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = connect(address);
    exchange(rustls::Stream::new(&mut tls, &mut stream), request)
}
