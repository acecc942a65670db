//! Which right a request needs, and what needs none: metrics, reflection, verification, and the questions of browsers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::fs;

use annals_server::Server;
use common::tls::token_line;
use common::{Response, Served, serve};

const SHOP: &str = "https://shop.example";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// Asks the reflection service for the names of all services.
const LIST_SERVICES: [u8; 8] = [0, 0, 0, 0, 3, 0x3a, 1, b'*'];

/// Starts a server on files with a token for each right, whose secret is the name of the right.
fn guarded(directory: &std::path::Path) -> Served {
    let rights = ["read", "append", "consume", "admin"];
    let lines = rights.map(|right| token_line(right, right.as_bytes(), right)).concat();
    fs::write(directory.join("tokens"), lines).unwrap();
    let server = Server::open(directory.join("a.store")).metrics(|| "up 1\n".into());
    serve(server.tokens(directory.join("tokens")).cors_origin(SHOP))
}

/// Returns the line of a token; none for an empty one.
fn authorization(token: &str) -> String {
    if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") }
}

#[test]
fn metrics_and_verification_need_their_rights() {
    let directory = tempfile::tempdir().unwrap();
    let server = guarded(directory.path());
    for (method, path, right) in [("GET", "/metrics", "read"), ("POST", "/v1/verify", "admin")] {
        for token in ["", "read", "append", "consume", "admin"] {
            let headers = format!("Content-Type: application/json\r\n{}", authorization(token));
            let expected = match token {
                "" => 401,
                token if token == right => 200,
                _ => 403,
            };
            let status = server.send(method, path, &headers, b"").status;
            assert_eq!(status, expected, "{method} {path} with {token:?}");
        }
    }
}

#[test]
fn reflection_names_the_services_to_clients_that_may_read() {
    let directory = tempfile::tempdir().unwrap();
    let server = guarded(directory.path());
    let ask = |method: &str, path: &str, token: &str| {
        let headers = format!("Content-Type: application/grpc\r\n{}", authorization(token));
        server.send(method, path, &headers, &LIST_SERVICES)
    };
    let status = |response: &Response| response.header("grpc-status").map(str::to_owned);
    for path in [REFLECTION.to_owned(), REFLECTION.replace(".v1.", ".v1alpha.")] {
        let names = String::from_utf8_lossy(&ask("POST", &path, "read").body).into_owned();
        assert!(
            names.contains("umadb.v1.DCB") && names.contains("grpc.health.v1.Health"),
            "{names}"
        );
        assert_eq!(status(&ask("POST", &path, "append")).as_deref(), Some("7"));
        // No method is a way around the rights.
        for method in ["POST", "OPTIONS", "GET", "PUT", "DELETE"] {
            assert_eq!(status(&ask(method, &path, "")).as_deref(), Some("16"), "{method}");
        }
        assert_eq!(status(&ask("OPTIONS", &path, "read")).as_deref(), Some("12"));
    }
}

#[test]
fn an_encoded_name_of_a_method_needs_no_less() {
    let directory = tempfile::tempdir().unwrap();
    let server = guarded(directory.path());
    for service in ["umadb.v1.DCB", "umadb.UmaDBService"] {
        for method in ["Append", "%41ppend", "A%70pend", "appen%64", "Other"] {
            let path = format!("/{service}/{method}");
            let send = |token| {
                let headers = format!("Content-Type: application/grpc\r\n{}", authorization(token));
                server.send("POST", &path, &headers, &[0, 0, 0, 0, 0])
            };
            assert_eq!(send("read").header("grpc-status"), Some("7"), "{path}");
            // Only the exact name is a method, so nothing can take another one for it.
            let expected = if method == "Append" { None } else { Some("12") };
            assert_eq!(send("append").header("grpc-status"), expected, "{path}");
        }
    }
}

#[test]
fn a_page_of_an_allowed_origin_reads_responses_and_asks_without_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let server = guarded(directory.path());
    let origin = format!("Origin: {SHOP}\r\n");
    let asked = server.send("OPTIONS", "/v1/events", &origin, b"");
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, Some(SHOP)));
    assert!(asked.header("access-control-allow-methods").is_some());
    assert_eq!(server.send("OPTIONS", "/v1/events", "", b"").status, 401, "no preflight");
    // A refusal, too, has the headers: the page must be able to read why.
    for (token, status) in [("read", 200), ("append", 403), ("", 401)] {
        let headers = format!("{origin}{}", authorization(token));
        let response = server.send("GET", "/v1/events", &headers, b"");
        assert_eq!(response.status, status);
        assert_eq!(response.header("access-control-allow-origin"), Some(SHOP));
        assert_eq!(response.header("access-control-expose-headers"), Some("annals-head"));
        assert_eq!(response.header("vary"), Some("origin"));
    }
    let own = server.send("GET", "/v1/events", &authorization("read"), b"");
    assert_eq!((own.status, own.header("access-control-allow-origin")), (200, None));
}
