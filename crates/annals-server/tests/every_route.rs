//! What holds for the routes of all faces: the form of their refusals. The routes are read from the sources.

mod common;

use annals_server::Server;
use common::{Response, Served, serve};
use serde_json::Value;

/// The description of the HTTP face. A test of the server compares it with the routes.
const OPENAPI: &str = include_str!("../src/http_face/openapi.json");
const PAGES: &str = include_str!("../src/inspector/routes.rs");
const GRPC: &str = include_str!("../src/dcb/service.rs");

const JSON: &str = "Content-Type: application/json\r\n";
const GRPC_TYPE: &str = "Content-Type: application/grpc\r\n";

/// Returns the paths of the HTTP face with their methods, in capital letters.
fn described() -> Vec<(String, Vec<String>)> {
    let described: Value = serde_json::from_str(OPENAPI).expect("JSON");
    let paths = described["paths"].as_object().expect("paths").iter();
    let methods = |found: &Value| {
        let methods = found.as_object().expect("methods").keys();
        methods.map(|method| method.to_uppercase()).collect::<Vec<_>>()
    };
    paths.map(|(path, found)| (path.clone(), methods(found))).collect()
}

/// Returns the paths in the source of a face.
fn paths(source: &str) -> Vec<String> {
    let paths = source.split(".route(\"").skip(1).map(|rest| rest.split('"').next());
    paths.map(|path| path.expect("the end").to_owned()).collect()
}

/// Returns the path with this text in place of its segment in braces.
fn with_segment(path: &str, text: &str) -> String {
    let Some((before, rest)) = path.split_once('{') else { return path.to_owned() };
    let (_, after) = rest.split_once('}').expect("the end of a segment");
    format!("{before}{text}{after}")
}

fn send(server: &Served, method: &str, path: &str, kind: &str) -> Response {
    server.send(method, path, kind, b"{}")
}

/// Checks that a refusal below `/ui` is a page under the policy of the inspector.
fn is_page(response: &Response) {
    let policy = response.header("content-security-policy");
    assert!(policy.is_some_and(|policy| policy.contains("default-src 'none'")), "{response:?}");
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"), "{response:?}");
}

#[test]
fn a_segment_that_is_not_utf8_is_refused_in_the_form_of_its_face() {
    let server = serve(Server::in_memory());
    for (path, methods) in described() {
        let bad = with_segment(&path, "%ff");
        for method in methods.iter().filter(|_| bad != path) {
            let refused = send(&server, method, &bad, JSON);
            let found = (refused.status, refused.problem());
            assert_eq!(found, (400, "invalid-request".into()), "{method} {bad}");
        }
    }
    for path in paths(PAGES).iter().filter(|path| path.contains('{') && !path.contains("{*")) {
        let method = if path.ends_with("/parked") { "POST" } else { "GET" };
        let own = format!("{JSON}Origin: http://localhost\r\n");
        let refused = server.send(method, &with_segment(path, "%ff"), &own, b"");
        assert_eq!(refused.status, 400, "{path}");
        is_page(&refused);
    }
    for path in paths(GRPC).iter().filter(|path| !path.contains("{*")) {
        let refused = send(&server, "POST", &with_segment(path, "%ff"), GRPC_TYPE);
        assert_eq!(refused.header("grpc-status"), Some("12"), "{path}: {refused:?}");
    }
}

#[test]
fn a_wrong_method_is_refused_in_the_form_of_its_face() {
    let server = serve(Server::in_memory());
    let http = described().into_iter().map(|(path, _)| path);
    for path in http.chain(paths(GRPC)).chain(["/".to_owned()]) {
        let refused = send(&server, "PATCH", &with_segment(&path, "1"), JSON);
        assert_eq!((refused.status, refused.problem()), (405, "method".into()), "{path}");
        assert!(refused.header("allow").is_some(), "{path}: {refused:?}");
    }
    for path in paths(PAGES).iter().filter(|path| path.starts_with("/ui") && !path.contains("{*")) {
        let refused = send(&server, "PATCH", &with_segment(path, "1"), JSON);
        assert_eq!(refused.status, 405, "{path}");
        is_page(&refused);
    }
    for path in paths(GRPC) {
        let refused = send(&server, "PUT", &with_segment(&path, "Head"), GRPC_TYPE);
        assert_eq!(refused.header("grpc-status"), Some("12"), "{path}: {refused:?}");
    }
}

#[test]
fn a_parameter_that_a_request_does_not_take_is_refused() {
    let server = serve(Server::in_memory());
    let mut count = 0;
    for (path, methods) in described() {
        for method in methods.iter().filter(|_| path.starts_with("/v1/")) {
            let path = format!("{}?limits=5", with_segment(&path, "1"));
            let refused = send(&server, method, &path, JSON);
            let found = (refused.status, refused.problem());
            assert_eq!(found, (400, "invalid-request".into()), "{method} {path}");
            assert_eq!(refused.json()["field"], "limits", "{method} {path}");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
    assert_eq!(send(&server, "POST", "/v1/query?limit=5", JSON).status, 400);
    assert_eq!(server.get("/health/ready?probe=1").status, 200);
    assert_eq!(server.get("/v1/head?").status, 200);
}
