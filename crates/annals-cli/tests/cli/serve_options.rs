//! The options of `annals serve` for names, pages, metadata, memory and TLS. Each has its effect, and a value that can
//! have none is an error.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::{TestDir, annals};
use crate::serve::{Serving, request};

const LOCALHOST: &str = "Host: localhost\r\n";
const EVENT: &str = r#"{"events":[{"type":"a"}]}"#;

/// Ends a server.
fn end(serving: Serving) {
    serving.signal("-TERM");
    assert_eq!(serving.end().0, Some(0));
}

/// Checks that a response has a status, and the kind of its problem.
#[track_caller]
fn is(response: &str, status: u16, kind: &str) {
    assert!(
        response.starts_with(&format!("HTTP/1.1 {status} ")) && response.contains(kind),
        "{response}"
    );
}

/// Checks that the command does not serve with these options, and that nothing is created.
#[track_caller]
fn refused(dir: &TestDir, options: &[&str], words: &[&str]) {
    let store = dir.arg("none.store");
    let args = ["serve", &store, "--listen", "127.0.0.1:0"];
    let run = annals(args.into_iter().chain(options.iter().copied()), "");
    assert!(matches!(run.code, Some(1 | 2)), "{options:?}: {run:?}");
    for word in words {
        assert!(run.err.contains(word), "{options:?}: {word:?} is not in {:?}", run.err);
    }
    assert!(!dir.path("none.store").exists(), "{options:?}");
}

#[test]
fn a_name_of_the_option_is_a_host_of_the_server() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let serving =
        Serving::start(&[&store, "--host-name", "log.example", "--host-name", "203.0.113.7"]);
    let head = |host: &str| serving.send_with("GET", "/v1/head", &format!("Host: {host}\r\n"), "");
    for host in ["log.example", "LOG.example:50051", "203.0.113.7", "203.0.113.7:80", "localhost"] {
        is(&head(host), 200, "head");
    }
    for host in ["other.example", "log.example.evil.example", "203.0.113.8"] {
        is(&head(host), 421, "unknown-host");
    }
    end(serving);
    let plain = Serving::start(&[&store]);
    is(&plain.send_with("GET", "/v1/head", "Host: log.example\r\n", ""), 421, "unknown-host");
    end(plain);
    for name in ["", "log.example:50051", "https://log.example", "log.example/", "a b", "*"] {
        refused(&dir, &["--host-name", name], &[&format!("{name:?}"), "host name", "log.example"]);
    }
}

#[test]
fn pages_of_the_origin_of_the_option_may_use_the_server() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let origins =
        ["--cors-origin", "https://shop.example", "--cors-origin", "http://localhost:3000"];
    let serving = Serving::start(&[&[&*store][..], &origins].concat());
    let from = |origin: &str| {
        let headers = format!("{LOCALHOST}Origin: {origin}\r\n");
        serving.send_with("GET", "/v1/head", &headers, "")
    };
    for origin in ["https://shop.example", "http://localhost:3000"] {
        is(&from(origin), 200, &format!("access-control-allow-origin: {origin}\r\n"));
    }
    is(&from("https://other.example"), 403, "foreign-origin");
    end(serving);
    let plain = Serving::start(&[&store]);
    let headers = format!("{LOCALHOST}Origin: https://shop.example\r\n");
    is(&plain.send_with("GET", "/v1/head", &headers, ""), 403, "foreign-origin");
    end(plain);
    for origin in [
        "",
        "*",
        "null",
        "shop.example",
        "https://shop.example/",
        "https://shop.example/a",
        "https://Shop.example",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://a@shop.example",
    ] {
        let words = [&*format!("{origin:?}"), "origin", "https://shop.example"];
        refused(&dir, &["--cors-origin", origin], &words);
    }
}

#[test]
fn the_name_of_a_token_is_in_the_metadata_with_the_option() {
    let dir = TestDir::new();
    let (store, tokens) = (dir.arg("a.store"), dir.arg("tokens"));
    // The SHA-256 of "secret".
    let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    std::fs::write(&tokens, format!("billing {hash} append\n")).unwrap();
    let headers = format!("{LOCALHOST}Authorization: Bearer secret\r\n");
    for more in [&[][..], &["--actor-metadata"]] {
        let serving = Serving::start(&[&[&*store, "--tokens", &tokens][..], more].concat());
        is(&serving.send_with("POST", "/v1/events", &headers, EVENT), 200, "head");
        end(serving);
    }
    let events = annals(["read", &store], "").succeeds().lines();
    let actors: Vec<_> = events.iter().map(|event| event["metadata"]["$actor"].clone()).collect();
    assert_eq!(serde_json::Value::from(actors), serde_json::json!([null, "billing"]));
    refused(&dir, &["--actor-metadata=billing"], &["--actor-metadata"]);
}

#[test]
fn the_trace_of_a_client_is_in_the_metadata_with_the_option() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for more in [&[][..], &["--trace-metadata"]] {
        let serving = Serving::start(&[&[&*store][..], more].concat());
        for value in [trace, "not-a-trace"] {
            let headers = format!("{LOCALHOST}traceparent: {value}\r\n");
            is(&serving.send_with("POST", "/v1/events", &headers, EVENT), 200, "head");
        }
        end(serving);
    }
    let events = annals(["read", &store], "").succeeds().lines();
    let traces: Vec<_> =
        events.iter().map(|event| event["metadata"]["traceparent"].clone()).collect();
    assert_eq!(serde_json::Value::from(traces), serde_json::json!([null, null, trace, null]));
    refused(&dir, &["--trace-metadata=yes"], &["--trace-metadata"]);
}

#[test]
fn requests_share_the_memory_of_the_option() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    // White space is not valid JSON, which is known after all of it has come.
    let body = " ".repeat(30 << 20);
    for (more, is_refused) in [(&["--request-memory", "40MiB"][..], true), (&[], false)] {
        let serving = Serving::start(&[&[&*store][..], more].concat());
        let request = request("POST", "/v1/events", LOCALHOST, &body);
        let (most, last) = request.split_at(request.len() - 1);
        let mut first = TcpStream::connect(&serving.address).unwrap();
        first.write_all(most.as_bytes()).unwrap();
        let second = serving.send("POST", "/v1/events", &body);
        first.write_all(last.as_bytes()).unwrap();
        let mut response = String::new();
        first.read_to_string(&mut response).unwrap();
        // The system may have kept bytes of the first request from the server until the second one had come.
        let responses = [response, second];
        let is_overloaded = |response: &&String| {
            response.starts_with("HTTP/1.1 503 ") && response.contains("overloaded")
        };
        assert_eq!(responses.iter().any(|one| is_overloaded(&one)), is_refused, "{responses:?}");
        let is_invalid = |response: &String| response.starts_with("HTTP/1.1 400 ");
        assert!(is_refused || responses.iter().all(is_invalid), "{responses:?}");
        end(serving);
    }
    for size in ["39MiB", "40", "1GB", "-1", ""] {
        refused(&dir, &[&format!("--request-memory={size}")], &["40MiB or more"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_does_not_read_is_ended_after_the_time_of_the_option() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let serving = Serving::start(&[&store, "--unread-time", "100ms"]);
    let body = format!(r#"{{"events":[{{"type":"a","data":"{}"}}]}}"#, "x".repeat(15 << 20));
    for _ in 0..3 {
        is(&serving.send("POST", "/v1/events", &body), 200, "head");
    }
    // More than the buffers of the system hold.
    let mut stopped = TcpStream::connect(&serving.address).unwrap();
    stopped.write_all(request("GET", "/v1/events", LOCALHOST, "").as_bytes()).unwrap();
    stopped.read_exact(&mut [0; 12]).unwrap();
    // The test hangs here if the connection of the client that does not read goes on.
    let connections = || {
        let metrics = serving.send("GET", "/metrics", "");
        let line = metrics.lines().find_map(|line| line.strip_prefix("annals_connections "));
        line.unwrap().to_owned()
    };
    while connections() != "1" {
        std::thread::yield_now();
    }
    let mut response = Vec::new();
    let _ = stopped.read_to_end(&mut response);
    assert!(response.len() < 45 << 20, "{} bytes", response.len());
    end(serving);
    for wrong in ["5", "0s", "25days"] {
        refused(&dir, &["--unread-time", wrong], &["--unread-time", "from 1ms to 24days"]);
    }
}

/// Writes a certificate for localhost that an authority signs, its key, and the authority. Returns the paths.
fn certificate(dir: &TestDir, name: &str) -> [String; 3] {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let certificate = certificate.signed_by(&key, &issuer).unwrap().pem();
    let texts =
        [("pem", certificate), ("key", key.serialize_pem()), ("authority.pem", authority_pem)];
    texts.map(|(ending, text)| {
        let path = dir.arg(&format!("{name}.{ending}"));
        std::fs::write(&path, text).unwrap();
        path
    })
}

/// Asks for the head over TLS, trusting this authority. Returns the response; `None` if there is none.
fn head_over_tls(serving: &Serving, authority: &str, own: Option<&[String; 3]>) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some([certificate, key, _]) => {
            let certificate = CertificateDer::from_pem_file(certificate).unwrap();
            let key = PrivateKeyDer::from_pem_file(key).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(&serving.address).unwrap());
    stream.write_all(request("GET", "/v1/head", LOCALHOST, "").as_bytes()).ok()?;
    let mut response = Vec::new();
    // The server may end the connection without the end of TLS.
    let _ = stream.read_to_end(&mut response);
    (!response.is_empty()).then(|| String::from_utf8(response).unwrap())
}

#[test]
fn tls_has_the_certificate_of_the_options() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let (server, other) = (certificate(&dir, "server"), certificate(&dir, "other"));
    let [cert, key, authority] = &server;
    let serving = Serving::start(&[&store, "--tls-cert", cert, "--tls-key", key]);
    assert!(serving.begin.contains("https://"), "{}", serving.begin);
    is(&head_over_tls(&serving, authority, None).unwrap(), 200, r#"{"head":0}"#);
    assert_eq!(head_over_tls(&serving, &other[2], None), None, "another authority");
    // No response without TLS.
    let mut plain = TcpStream::connect(&serving.address).unwrap();
    plain.write_all(request("GET", "/v1/head", LOCALHOST, "").as_bytes()).unwrap();
    let mut response = Vec::new();
    let _ = plain.read_to_end(&mut response);
    assert!(!response.starts_with(b"HTTP/"), "{response:?}");
    end(serving);

    let options = ["--tls-cert", cert, "--tls-key", key, "--client-ca", &other[2]];
    let serving = Serving::start(&[&[&*store][..], &options].concat());
    is(&head_over_tls(&serving, authority, Some(&other)).unwrap(), 200, r#"{"head":0}"#);
    assert_eq!(head_over_tls(&serving, authority, None), None, "no certificate");
    assert_eq!(head_over_tls(&serving, authority, Some(&server)), None, "another authority");
    end(serving);
}

#[test]
fn files_of_tls_that_are_wrong_are_named() {
    let dir = TestDir::new();
    let ([cert, key, authority], [_, other_key, _]) =
        (certificate(&dir, "server"), certificate(&dir, "other"));
    let (missing, text) = (dir.arg("missing.pem"), dir.arg("text"));
    std::fs::write(&text, "not a certificate\n").unwrap();
    let with = |cert: &str, key: &str, words: &[&str]| {
        refused(&dir, &["--tls-cert", cert, "--tls-key", key], words);
    };
    with(&missing, &key, &["cannot read", "missing.pem"]);
    with(&cert, &missing, &["cannot read", "missing.pem"]);
    with(&text, &key, &["text", "no certificate in PEM"]);
    with(&key, &key, &["server.key", "no certificate in PEM"]);
    with(&cert, &text, &["text", "no items found"]);
    with(&cert, &other_key, &["server.pem", "key"]);
    let tls = ["--tls-cert", &*cert, "--tls-key", &*key];
    for (file, words) in [(&missing, &["cannot read"][..]), (&text, &["no certificate in PEM"])] {
        refused(&dir, &[&tls[..], &["--client-ca", file]].concat(), words);
    }
    refused(&dir, &["--tls-cert", &cert], &["--tls-key"]);
    refused(&dir, &["--tls-key", &key], &["--tls-cert"]);
    refused(&dir, &["--client-ca", &authority], &["--tls-cert"]);
}
