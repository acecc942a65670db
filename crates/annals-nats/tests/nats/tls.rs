//! Connections with TLS.

use annals_nats::JetStream;
use annals_replicated::{CommitLog as _, create};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::server::{Servers, Settings};

#[test]
fn a_certificate_is_checked() {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let server_certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let server_certificate = server_certificate.signed_by(&key, &issuer).unwrap();

    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let certificate = write("server.pem", server_certificate.pem());
    let secret = write("server.key", key.serialize_pem());
    let root = write("root.pem", authority_certificate.pem());
    let more = format!("tls {{ cert_file: \"{certificate}\", key_file: \"{secret}\" }}");
    let Some(servers) = Servers::start(Settings { more, ..Settings::one() }) else { return };

    // The server asks for TLS, and the client does not know its certificate.
    let unknown =
        JetStream::connect(&servers.url("shop")).unwrap().check().unwrap_err().to_string();
    assert!(unknown.contains("certificate") || unknown.contains("UnknownIssuer"), "{unknown}");
    let url = format!("{}&rootcert={root}", servers.url("shop"));
    create(&JetStream::connect(&url).unwrap()).unwrap();
    JetStream::connect(&url.replace("nats://", "tls://")).unwrap().check().unwrap();

    let missing =
        JetStream::connect("tls://n1/shop?rootcert=/nowhere.pem").unwrap_err().to_string();
    assert!(missing.contains("/nowhere.pem"), "{missing}");
    let empty = write("empty.pem", String::new());
    let empty = JetStream::connect(&format!("tls://n1/shop?rootcert={empty}")).unwrap_err();
    assert!(empty.to_string().contains("no certificate in PEM form"), "{empty}");
}

#[test]
fn a_server_without_tls_is_refused_where_it_is_required() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let url = servers.url("shop").replace("nats://", "tls://");
    let text = JetStream::connect(&url).unwrap().check().unwrap_err().to_string();
    assert!(text.contains("does not answer") && text.contains("127.0.0.1"), "{text}");
}

#[test]
fn a_file_with_secrets_that_is_wrong_is_named() {
    let missing = JetStream::options().password_file("/nowhere").connect("nats://app@n1/shop");
    assert!(missing.unwrap_err().to_string().contains("/nowhere"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.creds");
    std::fs::write(&path, "no credentials").unwrap();
    let url = format!("nats://n1/shop?creds={}", path.display());
    let text = JetStream::connect(&url).unwrap_err().to_string();
    assert!(text.contains("app.creds") && !text.contains("no credentials"), "{text}");
}
