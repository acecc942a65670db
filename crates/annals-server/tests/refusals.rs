//! A test for each thing that a server refuses: addresses, hosts, pages, media types, strangers, and what is too much.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::fs;
use std::io::{BufRead as _, Read as _, Write as _};
use std::time::Duration;

use annals_server::{Limits, ServeError, Server};
use common::tls::{certificates, over_tls, token_line};
use common::{Response, connect, exchange, request, serve};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const SERVING: u16 = 200;

fn start(server: Server) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { server.start().await.map(drop) })
}

#[test]
fn an_open_address_needs_tls_and_a_check_of_clients() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    certificates(directory.path());
    fs::write(at("tokens"), token_line("a", b"x", "read")).unwrap();
    let open = || Server::in_memory().listen("0.0.0.0:0".parse().unwrap());
    let tls = |server: Server| server.tls(at("server.pem"), at("server.key"));
    for server in [open(), open().tokens(at("tokens")), tls(open())] {
        let error = start(server).unwrap_err();
        assert!(matches!(error, ServeError::Exposed { .. }), "{error}");
        assert!(error.to_string().contains("0.0.0.0:0 can be reached from other machines"));
    }
    start(tls(open()).tokens(at("tokens"))).unwrap();
    start(tls(open()).client_authority(at("authority.pem"))).unwrap();
    start(open().insecure()).unwrap();
}

#[test]
fn wrong_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    certificates(directory.path());
    fs::write(at("tokens"), "billing not-a-hash read\n").unwrap();
    for (server, words) in [
        (Server::in_memory().tokens(at("none")), "none: "),
        (Server::in_memory().tokens(at("tokens")), "tokens, line 1: "),
        (Server::in_memory().tls(at("none"), at("server.key")), "cannot read "),
        (Server::in_memory().tls(at("server.pem"), at("none")), "none: "),
        (Server::in_memory().tls(at("tokens"), at("server.key")), "no certificate"),
        (Server::in_memory().tls(at("server.pem"), at("client.key")), "server.pem: "),
    ] {
        let error = start(server.listen("127.0.0.1:0".parse().unwrap())).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("not-a-hash"), "{error}");
    }
}

#[test]
fn a_server_that_cannot_listen_creates_no_store() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = directory.path().join("a.store");
    let error = start(Server::open(&store).listen(taken.local_addr().unwrap())).unwrap_err();
    assert!(matches!(error, ServeError::Listen { .. }), "{error}");
    assert!(!store.exists());
}

#[test]
fn foreign_hosts_pages_and_media_types_are_refused() {
    let server =
        serve(Server::in_memory().host_name("log.example").cors_origin("https://shop.example"));
    let head = |headers: &str| {
        let headers = format!("Content-Type: application/grpc\r\n{headers}");
        server.send("POST", "/umadb.v1.DCB/Head", &headers, &[0; 5])
    };
    assert_eq!(head("").header("grpc-status"), None);
    assert_eq!(head("Host: log.example\r\n").header("grpc-status"), None);
    assert_eq!(head("Host: evil.example\r\n").header("grpc-status"), Some("7"));
    assert_eq!(head("Origin: https://evil.example\r\n").header("grpc-status"), Some("7"));
    let send = |method: &str, headers: &str| server.send(method, "/v1/events", headers, b"{}");
    let json = "Content-Type: application/json\r\n";
    assert_eq!(send("POST", &format!("{json}Host: evil.example\r\n")).problem(), "unknown-host");
    let foreign = send("POST", &format!("{json}Origin: http://localhost.evil\r\n"));
    assert_eq!((foreign.status, foreign.problem()), (403, "foreign-origin".into()));
    for kind in
        ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"]
    {
        let refused = send("POST", kind);
        assert_eq!((refused.status, refused.problem()), (415, "media-type".into()));
    }
    let asked = send("OPTIONS", "Origin: https://shop.example\r\n");
    assert_eq!(asked.status, 204);
    assert_eq!(asked.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(send("OPTIONS", "Origin: https://evil.example\r\n").status, 403);
}

#[test]
fn strangers_and_missing_rights_are_refused_and_the_file_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    fs::write(&file, token_line("reader", b"r", "read") + &token_line("writer", b"w", "append"))
        .unwrap();
    let server = serve(Server::in_memory().tokens(&file));
    let status = |method: &str, token: &str| {
        let headers = format!("Authorization: {token}\r\n");
        let response = server.grpc(method, &headers, b"");
        response.header("grpc-status").map_or(0, |status| status.parse().unwrap())
    };
    for wrong in ["", "Bearer", "Bearer x", "Basic r", "r", "Bearer é"] {
        assert_eq!(status("Head", wrong), 16, "{wrong}");
    }
    assert_eq!((status("Head", "Bearer r"), status("Append", "Bearer r")), (0, 7));
    assert_eq!((status("Head", "bearer w"), status("Append", "Bearer w")), (7, 0));
    let get = |token: &str| server.send("GET", "/v1/head", token, b"");
    let refused = get("");
    assert_eq!((refused.status, refused.problem()), (401, "unauthenticated".into()));
    assert_eq!(refused.header("www-authenticate"), Some("bearer"));
    assert_eq!(get("Authorization: Bearer w\r\n").problem(), "forbidden");
    fs::write(&file, "wrong").unwrap();
    assert!(server.handle.reload().is_err());
    assert_eq!(status("Head", "Bearer r"), 0);
    fs::write(&file, token_line("reader", b"new", "read")).unwrap();
    server.handle.reload().unwrap();
    assert_eq!((status("Head", "Bearer r"), status("Head", "Bearer new")), (16, 0));
}

#[test]
fn a_token_that_is_removed_ends_its_open_streams() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    let write = |text: String| fs::write(&file, text).unwrap();
    let kept = token_line("kept", b"k", "read,append");
    let reader = |rights: &str| token_line("reader", b"r", rights);
    write(reader("read") + &kept);
    let server = serve(Server::in_memory().tokens(&file));
    let follow = |path: &str, token: &str, accept: &str| {
        let headers = format!("Authorization: Bearer {token}\r\nAccept: {accept}\r\n");
        let mut stream = connect(server.address);
        stream.write_all(&request("GET", path, &headers, b"")).unwrap();
        // The response has begun.
        stream.read_exact(&mut [0; 12]).unwrap();
        stream
    };
    let rest = |mut stream: std::net::TcpStream| {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        String::from_utf8(rest).unwrap()
    };
    let append = || {
        let json = "Content-Type: application/json\r\nAuthorization: Bearer k\r\n";
        let body = br#"{"events":[{"type":"seen"}]}"#;
        assert_eq!(server.send("POST", "/v1/events", json, body).status, 200);
    };
    let end = |token_file: String, problem: &str| {
        let lines = "application/x-ndjson";
        let goes_on = follow("/v1/subscribe?from=end", "k", lines);
        let streams = [("/v1/subscribe", lines), ("/v1/subscribe", "*/*"), ("/ui/tail", "*/*")];
        let streams = streams.map(|(path, accept)| follow(path, "r", accept));
        write(token_file);
        server.handle.reload().unwrap();
        for stream in streams {
            let rest = rest(stream);
            assert!(rest.contains(&format!("urn:annals:problem:{problem}")), "{rest}");
        }
        append();
        let mut found = String::new();
        let mut lines = std::io::BufReader::new(goes_on);
        while !found.contains("\"seen\"") {
            assert!(lines.read_line(&mut found).unwrap() > 0, "{found}");
        }
        assert!(!found.contains("error"), "{found}");
    };
    end(reader("append") + &kept, "forbidden");
    write(reader("read") + &kept);
    server.handle.reload().unwrap();
    end(kept.clone(), "unauthenticated");
}

#[test]
fn a_client_needs_a_certificate_of_the_authority() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    certificates(directory.path());
    let der = CertificateDer::from_pem_file(at("client.pem")).unwrap();
    let head = request("POST", "/umadb.v1.DCB/Head", "Content-Type: application/grpc\r\n", &[0; 5]);
    let mutual = || {
        Server::in_memory()
            .tls(at("server.pem"), at("server.key"))
            .client_authority(at("authority.pem"))
    };
    let server = serve(mutual());
    let send = |address, certificate| over_tls(directory.path(), address, certificate, &head);
    let response = send(server.address, true).expect("a response");
    assert_eq!((response.status, response.header("grpc-status")), (SERVING, None));
    assert!(send(server.address, false).is_none());
    let mut plain = connect(server.address);
    plain.write_all(&head).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "an answer without TLS");
    // With a token file, the certificate's hash must be in it.
    for (secret, status) in [(&b"other"[..], Some("16")), (&der, None)] {
        fs::write(at("tokens"), token_line("billing", secret, "read")).unwrap();
        let server = serve(mutual().tokens(at("tokens")));
        assert_eq!(send(server.address, true).unwrap().header("grpc-status"), status);
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let limits = Limits::default().subscriptions(0).header_time(Duration::from_millis(200));
    let server = serve(Server::in_memory().limits(limits));
    let subscribe = server.grpc("Subscribe", "", b"");
    assert_eq!(subscribe.header("grpc-status"), Some("8"), "{subscribe:?}");
    let long = format!("X: {}\r\n", "x".repeat(1 << 20));
    let refused = exchange(connect(server.address), &request("GET", "/v1/head", &long, b""));
    assert!(refused.is_none_or(|response| response.status == 431));
    // A client that does not begin, and one that stops in the middle of its headers.
    for beginning in ["", "GET /health/live HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = connect(server.address);
        stream.write_all(beginning.as_bytes()).unwrap();
        let mut rest = Vec::new();
        assert!(stream.read_to_end(&mut rest).is_ok() && !rest.starts_with(b"HTTP/1.1 200"));
    }
    let message = vec![0; (33 << 20) + 1];
    assert_eq!(server.grpc("Append", "", &message).header("grpc-status"), Some("11"));
    // A message that is not one.
    assert_eq!(server.grpc("Append", "", &[0xff; 9]).header("grpc-status"), Some("3"));
    assert_eq!(server.grpc("Head", "", b"").status, SERVING);
}

#[test]
fn a_connection_beyond_the_limit_waits_for_another_to_end() {
    let server = serve(Server::in_memory().limits(Limits::default().connections(1)));
    let mut first = connect(server.address);
    let request = request("GET", "/health/live", "", b"");
    let keep = String::from_utf8(request.clone()).unwrap().replace("close", "keep-alive");
    first.write_all(keep.as_bytes()).unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).unwrap();
    let mut second = connect(server.address);
    second.write_all(&request).unwrap();
    drop(first);
    let mut answer = Vec::new();
    second.read_to_end(&mut answer).unwrap();
    assert_eq!(Response::parse(&answer).status, SERVING);
}

#[test]
fn a_client_that_never_finishes_its_handshake_does_not_delay_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    certificates(directory.path());
    let hour = Limits::default()
        .header_time(Duration::from_secs(3600))
        .drain_time(Duration::from_secs(3600));
    let server = Server::in_memory().limits(hour).tls(at("server.pem"), at("server.key"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let running = runtime.block_on(server.listen("127.0.0.1:0".parse().unwrap()).start()).unwrap();
    let mut silent = connect(running.addresses()[0]);
    silent.write_all(&[0x16]).unwrap();
    running.drain();
    // Waits for an hour if the handshake is waited for.
    runtime.block_on(running.wait()).unwrap();
}
