//! Connections with TLS.

use annals_postgres::Postgres;
use annals_replicated::{CommitLog as _, create};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::server::Server;

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

    let Some(server) = Server::start(&[]) else { return };
    let url = format!("{}&sslmode=require", server.url("shop"));
    let plain = Postgres::connect(&url).unwrap().check().unwrap_err().to_string();
    assert!(plain.contains("server does not support TLS"), "{plain}");

    let certificate = server.write("server.pem", &server_certificate.pem());
    let secret = server.write("server.key", &key.serialize_pem());
    let root = server.write("root.pem", &authority_certificate.pem());
    server.set("ssl_cert_file", certificate.to_str().unwrap());
    server.set("ssl_key_file", secret.to_str().unwrap());
    server.set("ssl", "on");

    let unknown = Postgres::connect(&url).unwrap().check().unwrap_err().to_string();
    assert!(unknown.contains("certificate"), "{unknown}");
    let record = Postgres::connect(&format!("{url}&sslrootcert={}", root.display())).unwrap();
    create(&record).unwrap();
    assert_eq!(server.sql("select count(*) > 0 from pg_stat_ssl where ssl"), "t");

    let missing =
        Postgres::connect(&format!("{url}&sslrootcert=/nowhere.pem")).unwrap_err().to_string();
    assert!(missing.contains("/nowhere.pem"), "{missing}");
    let empty = server.write("empty.pem", "");
    let empty = Postgres::connect(&format!("{url}&sslrootcert={}", empty.display())).unwrap_err();
    assert!(empty.to_string().contains("no certificate in PEM form"), "{empty}");
}
