//! What an operator relies on: audit, names and traces in events, files that are read again, readiness, listeners of
//! their own for certificates, and the wait for the store's lock.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::fs;
use std::io::{Read as _, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use annals::{Durability, EventStore, Journal, RawEvent};
use annals_server::{ServeError, Server};
use common::tls::{certificates, negotiated, over_tls, token_line};
use common::{connect, request, serve};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The log of all tests of this program.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// Returns the lines of the audit that have all these words.
fn audited(words: &[&str]) -> Vec<String> {
    let text = String::from_utf8(log().0.lock().unwrap().clone()).unwrap();
    let lines = text.lines().filter(|line| line.contains("annals::audit"));
    let lines = lines.filter(|line| words.iter().all(|word| line.contains(word)));
    lines.map(str::to_owned).collect()
}

/// Returns the log, which is installed at the first call.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone());
        subscriber.with_max_level(tracing::Level::INFO).init();
        log
    })
}

fn bearer(token: &str) -> String {
    format!("Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n")
}

/// Returns an `AppendRequest` of one event of type `a`, with this tag.
fn grpc_append(tag: &str) -> Vec<u8> {
    let mut event = vec![0x0a, 1, b'a', 0x12, u8::try_from(tag.len()).unwrap()];
    event.extend_from_slice(tag.as_bytes());
    [&[0x0a, u8::try_from(event.len()).unwrap()], &event[..]].concat()
}

#[test]
fn each_append_is_logged_with_the_name_of_its_token() {
    log();
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    let lines =
        token_line("billing-audit", b"one", "append,read") + &token_line("other", b"two", "read");
    fs::write(&tokens, lines).unwrap();
    let server = serve(Server::in_memory().tokens(&tokens).actor_metadata());
    let body = br#"{"events":[{"type":"a","id":"x"},{"type":"b"}]}"#;
    assert_eq!(server.send("POST", "/v1/events", &bearer("one"), body).status, 200);
    server.grpc("Append", "Authorization: Bearer one\r\n", &grpc_append("t"));
    let lines = audited(&["billing-audit", "appended", "peer=127.0.0.1:"]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("first=0 last=1") && lines[1].contains("first=2 last=2"),
        "{lines:?}"
    );
    // What appends nothing is not logged: a refusal, a read, and an append whose events are there by their ids.
    assert_eq!(server.send("POST", "/v1/events", &bearer("two"), body).status, 403);
    let again = br#"{"events":[{"type":"a","id":"x"}]}"#;
    let again = server.send("POST", "/v1/events", &bearer("one"), again).json();
    assert_eq!(again["already"], true);
    // Metadata `$id` is the id over gRPC.
    let with_id = [&[0x0a, 13], &b"\x0a\x01a\x2a\x08\x0a\x03$id\x12\x01x"[..]].concat();
    server.grpc("Append", "Authorization: Bearer one\r\n", &with_id);
    assert_eq!(server.send("GET", "/v1/head", &bearer("two"), b"").json()["head"], 3);
    assert_eq!(audited(&["billing-audit"]).len(), 2);
    // The name is in the events, and a client cannot give another one.
    let events = server.send("GET", "/v1/events", &bearer("two"), b"").lines();
    assert!(
        events.iter().all(|event| event["metadata"]["$actor"] == "billing-audit"),
        "{events:?}"
    );
    let forged = br#"{"events":[{"type":"a","metadata":{"$actor":"root"}}]}"#;
    assert_eq!(
        server.send("POST", "/v1/events", &bearer("one"), forged).problem(),
        "invalid-event"
    );
}

#[test]
fn without_tokens_there_is_no_audit_and_no_name() {
    log();
    let server = serve(Server::in_memory().actor_metadata());
    server.post("/v1/events", r#"{"events":[{"type":"nobody","tags":["unnamed"]}]}"#);
    assert_eq!(server.get("/v1/events/0").json().get("metadata"), None);
    assert_eq!(audited(&[&server.address.port().to_string()]), [] as [String; 0]);
}

#[test]
fn the_trace_of_a_client_is_in_the_span_and_on_request_in_the_events() {
    log();
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    fs::write(&tokens, token_line("traced-client", b"one", "append,read")).unwrap();
    let body = r#"{"events":[{"type":"a"},{"type":"b","metadata":{"traceparent":"mine"}}]}"#;
    let metadata = |server: Server, trace: &str| {
        let server = serve(server.tokens(&tokens));
        let headers = format!("{}traceparent: {trace}\r\n", bearer("one"));
        assert_eq!(server.send("POST", "/v1/events", &headers, body.as_bytes()).status, 200);
        let grpc = format!("Authorization: Bearer one\r\ntraceparent: {trace}\r\n");
        server.grpc("Append", &grpc, &grpc_append("t"));
        let events = server.send("GET", "/v1/events", &bearer("one"), b"").lines();
        let of = |event: &serde_json::Value| event["metadata"]["traceparent"].clone();
        events.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(metadata(Server::in_memory(), TRACE), [json!(null), json!("mine"), json!(null)]);
    let lines = audited(&["traced-client", "request{face=\"http\" method=\"POST\"", TRACE]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        audited(&["traced-client", "request{face=\"grpc\" method=\"Append\"", TRACE]).len(),
        1
    );
    let tracing = || Server::in_memory().trace_metadata();
    assert_eq!(metadata(tracing(), TRACE), [json!(TRACE), json!("mine"), json!(TRACE)]);
    // A header that is not valid is ignored.
    assert_eq!(metadata(tracing(), "00-1-2-3"), [json!(null), json!("mine"), json!(null)]);
}

/// Returns a field of a message: its number, and its bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

#[test]
fn the_order_of_metadata_is_kept_beside_what_the_server_adds() {
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    fs::write(&tokens, token_line("one", b"one", "append,read")).unwrap();
    let server = Server::in_memory().tokens(&tokens).actor_metadata().trace_metadata();
    let server = serve(server);
    let entry = |name: &str| field(5, &field(1, name.as_bytes()));
    let names = ["zoo", "ant", "mouse"];
    let entries = names.map(entry).concat();
    let event = [&field(1, b"a")[..], &entries].concat();
    let headers = format!("Authorization: Bearer one\r\ntraceparent: {TRACE}\r\n");
    server.grpc("Append", &headers, &field(1, &event));
    let stored = server.send("GET", "/v1/events/0", &bearer("one"), b"").json();
    assert_eq!(stored["metadata"]["$actor"], "one");
    assert_eq!(stored["metadata"]["traceparent"], TRACE);
    let read = server.grpc("Read", &headers, b"").body;
    let found = |bytes: &[u8]| read.windows(bytes.len()).any(|window| window == bytes);
    assert!(found(&entries), "{:?}", String::from_utf8_lossy(&read));
}

#[test]
fn certificates_are_read_again_and_a_wrong_file_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    certificates(directory.path());
    let server = serve(Server::in_memory().tls(at("server.pem"), at("server.key")));
    let get = request("GET", "/v1/head", "", b"");
    // The client trusts the file `server.pem` of its directory alone.
    let works = |directory: &Path| over_tls(directory, server.address, false, &get).is_some();
    assert!(works(directory.path()));
    let new = tempfile::tempdir().unwrap();
    certificates(new.path());
    assert!(!works(new.path()));
    let copy = |name: &str| fs::copy(new.path().join(name), at(name)).unwrap();
    let old = fs::read(at("server.pem")).unwrap();
    copy("server.pem");
    let error = server.handle.reload().unwrap_err();
    assert!(
        matches!(error, ServeError::Tls { .. }),
        "the key is of the other certificate: {error}"
    );
    assert!(!works(new.path()));
    copy("server.key");
    server.handle.reload().unwrap();
    assert!(works(new.path()));
    fs::write(at("server.pem"), old).unwrap();
    assert!(!works(directory.path()));
}

#[test]
fn both_versions_of_tls_carry_both_protocols() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    certificates(directory.path());
    let server = serve(Server::in_memory().tls(at("server.pem"), at("server.key")));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let chosen =
            |protocols: &[&[u8]]| negotiated(directory.path(), server.address, version, protocols);
        assert_eq!(chosen(&[b"http/1.1"]).as_deref(), Some(&b"http/1.1"[..]));
        assert_eq!(chosen(&[b"http/1.1", b"h2"]).as_deref(), Some(&b"h2"[..]));
        assert_eq!(chosen(&[]), None);
    }
}

#[test]
fn some_addresses_ask_for_certificates_and_others_for_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    certificates(directory.path());
    fs::write(at("tokens"), token_line("reader", b"one", "read")).unwrap();
    let any = || "127.0.0.1:0".parse().unwrap();
    let tls = || Server::in_memory().tls(at("server.pem"), at("server.key"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(tls().listen_mutual(any()).start()).unwrap_err();
    assert!(error.to_string().contains("an authority"), "{error}");
    let both = tls().client_authority(at("authority.pem")).listen(any()).listen_mutual(any());
    let running = runtime.block_on(both.start()).unwrap();
    let [open, mutual] = *running.addresses() else { panic!("two addresses") };
    let get = request("GET", "/v1/head", "", b"");
    let status = |address, certificate| {
        over_tls(directory.path(), address, certificate, &get).map(|response| response.status)
    };
    assert_eq!((status(open, false), status(open, true)), (Some(200), Some(200)));
    assert_eq!((status(mutual, false), status(mutual, true)), (None, Some(200)));
    // Another machine may use the address that asks for certificates. The other one needs tokens for that.
    let everywhere = || "0.0.0.0:0".parse().unwrap();
    let authority = || tls().client_authority(at("authority.pem"));
    let start = |server: Server| runtime.block_on(async { server.start().await.map(drop) });
    start(authority().listen(any()).listen_mutual(everywhere())).unwrap();
    let exposed = start(authority().listen(everywhere()).listen_mutual(any())).unwrap_err();
    assert!(matches!(exposed, ServeError::Exposed { .. }), "{exposed}");
    start(authority().tokens(at("tokens")).listen(everywhere()).listen_mutual(any())).unwrap();
}

#[test]
fn a_server_whose_follower_ended_is_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    let event = || RawEvent::builder("a").build().unwrap();
    store.append(event()).unwrap();
    let server = serve(Server::open_read_only(&path));
    let health = |server: &common::Served| {
        let headers = "Content-Type: application/grpc\r\n";
        server.send("POST", "/grpc.health.v1.Health/Check", headers, &[0; 5]).body
    };
    let ready = server.get("/health/ready");
    assert_eq!((ready.status, health(&server).get(..7)), (200, Some(&[0, 0, 0, 0, 2, 8, 1][..])));
    let mut subscription = connect(server.address);
    subscription.write_all(&request("GET", "/v1/subscribe", "", b"")).unwrap();
    fs::remove_dir_all(&path).unwrap();
    // The subscription ends once the follower has seen that its files are gone.
    subscription.read_to_end(&mut Vec::new()).unwrap();
    let ready = server.get("/health/ready");
    assert_eq!(ready.status, 503);
    let reason = ready.text();
    assert!(!reason.trim().is_empty(), "{reason}");
    assert_eq!(health(&server)[..7], [0, 0, 0, 0, 2, 8, 2]);
    assert_eq!(server.get("/health/live").status, 200);
}

#[test]
fn a_check_of_the_program_is_part_of_readiness() {
    let server = serve(Server::in_memory().readiness(|| Some("the cache is cold".into())));
    let ready = server.get("/health/ready");
    assert_eq!((ready.status, ready.text().as_str()), (503, "the cache is cold\n"));
}

#[test]
fn a_server_waits_for_the_store_of_the_one_that_it_replaces() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.store");
    let old = serve(Server::open(&path).durability(Durability::Buffered));
    old.post("/v1/events", r#"{"events":[{"type":"a"}]}"#);
    let address = old.address;
    let start = |patience| {
        let server = Server::open(&path).listen(address).wait_for_lock(patience);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let running = runtime.block_on(server.start())?;
        Ok::<_, ServeError>((runtime, running))
    };
    let error = start(Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, ServeError::Open(annals::OpenError::Locked { .. })), "{error}");
    std::thread::scope(|scope| {
        let new = scope.spawn(|| start(Duration::MAX).unwrap());
        drop(old);
        let (runtime, running) = new.join().unwrap();
        assert_eq!(running.addresses(), [address]);
        running.drain();
        runtime.block_on(running.wait()).unwrap();
    });
    let store = Journal::options().open::<RawEvent>(&path).unwrap();
    assert_eq!(EventStore::on(store).len(), 1);
}
