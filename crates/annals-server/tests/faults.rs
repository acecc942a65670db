//! Clients that are slow, gone or malicious, and a disk that is full: the server goes on for all others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals::Journal;
use annals_conformance::fault::FaultFileSystem;
use annals_server::{Limits, Server, WireEvent};
use common::trouble::Damaged;
use common::{Response, Served, connect, request, serve};
use serde_json::json;

const JSON: &str = "Content-Type: application/json\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Returns a frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head[..], payload].concat()
}

fn settings() -> Vec<u8> {
    [PREFACE, &frame(4, 0, 0, &[])].concat()
}

/// Sends bytes, and reads until the server ends the connection.
fn until_end(server: &Served, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(server.address);
    // The server may end the connection before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it did not end"),
        _ => answer,
    }
}

/// Closes the client's half of a connection, which the server may have ended already.
fn end_writing(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
}

fn is_well(server: &Served) {
    assert_eq!(server.get("/health/ready").status, 200);
    let appended = server.post("/v1/events", r#"{"events":[{"type":"well"}]}"#);
    assert_eq!(appended.status, 200, "{appended:?}");
}

/// Appends 24 MiB, which is more than the buffers of a connection hold.
fn append_much(server: &Served) {
    let event = json!({ "type": "large", "data": "x".repeat(4 << 20) });
    for _ in 0..2 {
        let body = json!({ "events": [event, event, event] }).to_string();
        assert_eq!(server.post("/v1/events", &body).status, 200);
    }
}

#[test]
fn a_slow_reader_delays_no_other_client_and_gets_everything() {
    let server = serve(Server::in_memory());
    append_much(&server);
    let slow = || {
        let mut stream = connect(server.address);
        stream.write_all(&request("GET", "/v1/events", "", b"")).unwrap();
        stream
    };
    let subscribed = || {
        let mut stream = connect(server.address);
        stream.write_all(&request("GET", "/v1/subscribe", "", b"")).unwrap();
        stream
    };
    let (mut readers, _subscribers) = ([slow(), slow(), slow()], [subscribed(), subscribed()]);
    for _ in 0..20 {
        is_well(&server);
    }
    for reader in &mut readers {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        // Those that were appended after its beginning are not part of the read.
        assert_eq!(Response::parse(&bytes).lines().len(), 6);
    }
}

#[test]
fn a_reader_that_never_reads_does_not_keep_the_server_from_its_end() {
    let limits = Limits::default().drain_time(Duration::from_millis(300));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Server::in_memory().limits(limits).listen("127.0.0.1:0".parse().unwrap());
    let running = runtime.block_on(server.start()).unwrap();
    let handle = running.handle();
    let address = running.addresses()[0];
    let ended = runtime.spawn(running.wait());
    let event = json!({ "type": "large", "data": "x".repeat(4 << 20) });
    let body = json!({ "events": [event, event, event] }).to_string();
    for _ in 0..3 {
        let append = request("POST", "/v1/events", JSON, body.as_bytes());
        assert_eq!(common::exchange(connect(address), &append).unwrap().status, 200);
    }
    let mut slow = connect(address);
    slow.write_all(&request("GET", "/v1/events", "", b"")).unwrap();
    let mut byte = [0];
    slow.read_exact(&mut byte).unwrap();
    handle.drain();
    runtime.block_on(ended).unwrap().unwrap();
}

#[test]
fn an_append_whose_client_is_gone_is_there_once_or_not_at_all() {
    let server = serve(Server::in_memory());
    let body = br#"{"events":[{"type":"sent"}]}"#;
    let mut closed = connect(server.address);
    closed.write_all(&request("POST", "/v1/events", JSON, body)).unwrap();
    drop(closed);
    // A client that closes its half of the connection counts as gone, too.
    let mut half = connect(server.address);
    half.write_all(&request("POST", "/v1/events", JSON, body)).unwrap();
    end_writing(&half);
    // The server may notice that the client is gone before it has read the request, or after.
    let _ = half.read_to_end(&mut Vec::new());
    // A client that goes within its body has appended nothing.
    let mut within = connect(server.address);
    let whole = request("POST", "/v1/events", JSON, br#"{"events":[{"type":"cut"}]}"#);
    within.write_all(&whole[..whole.len() - 1]).unwrap();
    end_writing(&within);
    let mut answer = Vec::new();
    let _ = within.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    is_well(&server);
    assert!(server.get("/v1/events?type=cut").lines().is_empty());
    assert!(server.get("/v1/events?type=sent").lines().len() <= 2);
}

#[test]
fn a_connection_whose_client_answers_no_pings_ends() {
    let limits = Limits::default().keep_alive(Duration::from_millis(100));
    let server = serve(Server::in_memory().limits(limits));
    // Returns once the server has ended the connection, long before the limit of the test's own reads.
    let answer = until_end(&server, &settings());
    let ping = frame(6, 0, 0, &[0; 8]);
    assert!(answer.windows(5).any(|bytes| bytes == &ping[..5]), "a ping was sent");
    is_well(&server);
}

#[test]
fn malformed_frames_end_their_connection_alone() {
    // What h2 ignores ends when the client answers no ping.
    let limits = Limits::default().keep_alive(Duration::from_millis(200));
    let server = serve(Server::in_memory().limits(limits));
    let header = |name: &[u8], value: &[u8]| {
        let text = |text: &[u8]| [&[u8::try_from(text.len()).unwrap()], text].concat();
        [&[0][..], &text(name), &text(value)].concat()
    };
    let garbage: Vec<u8> = (0..=255_u8).cycle().take(4_096).map(|n| n.wrapping_mul(37)).collect();
    let cases: [(&str, Vec<u8>); 9] = [
        ("bytes without sense", garbage.clone()),
        ("data of the connection", frame(0, 0, 0, b"x")),
        ("data of a stream that was never opened", frame(0, 0, 1, b"x")),
        ("headers that cannot be decoded", frame(1, 4, 1, &[0xff; 64])),
        ("settings of a wrong size", frame(4, 0, 0, &[0; 5])),
        ("a ping of a wrong size", frame(6, 0, 0, &[0; 7])),
        ("a window of no size", frame(8, 0, 0, &[0; 4])),
        (
            "a frame that is larger than allowed",
            [&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1], &garbage[..]].concat(),
        ),
        ("an even stream", frame(1, 5, 2, &header(b":method", b"GET"))),
    ];
    for (what, bytes) in cases {
        until_end(&server, &[settings(), bytes].concat());
        assert_eq!(server.get("/health/ready").status, 200, "behind {what}");
        is_well(&server);
    }
    for bytes in
        [&b"\x16\x03\x01\x00"[..], &[0; 64], b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &garbage]
    {
        let mut stream = connect(server.address);
        // The server may end the connection before it has read everything.
        let _ = stream.write_all(bytes);
        end_writing(&stream);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{bytes:?}");
    }
    is_well(&server);
}

#[test]
fn headers_without_end_are_refused() {
    let server = serve(Server::in_memory());
    // One header of 1 MiB in HTTP/1.1; without its end, the server must not wait for more.
    let mut endless = b"GET /v1/head HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec();
    endless.resize(1 << 20, b'x');
    let answer = until_end(&server, &endless);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{answer:?}");
    // The same in HTTP/2: headers that continue and continue.
    let part = frame(9, 0, 1, &[&[0, 1, b'x', 0x7f, 0x81, 0x7e][..], &[b'x'; 16_000]].concat());
    let mut endless = [settings(), frame(1, 1, 1, &[0x82])].concat();
    (0..70).for_each(|_| endless.extend_from_slice(&part));
    until_end(&server, &endless);
    is_well(&server);
}

/// Returns a header of HTTP/2, neither indexed nor compressed.
fn header(name: &[u8], value: &[u8]) -> Vec<u8> {
    let lengths = [name.len(), value.len()].map(|length| u8::try_from(length).unwrap());
    [&[0, lengths[0]], name, &lengths[1..], value].concat()
}

/// Reads a frame of HTTP/2. Returns its kind, its flags, its stream and its payload.
fn read_frame(stream: &mut TcpStream) -> (u8, u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    let [a, b, c, kind, flags, id @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload).unwrap();
    (kind, flags, u32::from_be_bytes(id), payload)
}

/// Reads frames of HTTP/2 until one ends stream 1. Returns its kind, and the data of the stream.
fn end_of_stream(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut data = Vec::new();
    loop {
        let (kind, flags, id, payload) = read_frame(stream);
        if id != 1 {
            continue;
        }
        if kind == 0 {
            data.extend_from_slice(&payload);
        }
        // Headers or data with the flag for the end, or a reset.
        if (kind < 2 && flags & 1 != 0) || kind == 3 {
            return (kind, data);
        }
    }
}

#[test]
fn a_body_that_does_not_come_is_refused_in_every_protocol() {
    let limits = Limits::default().body_time(Duration::from_millis(200));
    let server = serve(Server::in_memory().limits(limits));
    // HTTP/1.1, with a length and in chunks; a form of the inspector; gRPC, without its end and within a message.
    let begun = |path: &str, headers: &str, body: &[u8]| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        Response::parse(&until_end(&server, &[head.as_bytes(), body].concat()))
    };
    for length in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        let refused = begun("/v1/events", &format!("{JSON}{length}"), b"");
        assert_eq!((refused.status, refused.problem().as_str()), (408, "slow-request"));
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://localhost\r\n";
    let refused = begun("/ui/login", &format!("{form}Content-Length: 9\r\n"), b"token=");
    assert_eq!(refused.status, 408, "{refused:?}");
    let grpc = "Content-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n";
    for method in ["Append", "Head", "Read", "Subscribe"] {
        for sent in [&b""[..], b"5\r\n\0\0\0\0\x09\r\n", b"5\r\n\0\0\0\0\0\r\n"] {
            let refused = begun(&format!("/umadb.v1.DCB/{method}"), grpc, sent);
            assert_eq!(refused.header("grpc-status"), Some("4"), "{method} {sent:?}: {refused:?}");
        }
    }
    // HTTP/2: a stream without its end, in an open connection.
    for (path, kind) in
        [("/v1/events", "application/json"), ("/umadb.v1.DCB/Append", "application/grpc")]
    {
        let headers = [
            header(b":method", b"POST"),
            header(b":scheme", b"http"),
            header(b":authority", b"localhost"),
            header(b":path", path.as_bytes()),
            header(b"content-type", kind.as_bytes()),
        ];
        let mut stream = connect(server.address);
        let request = [settings(), frame(1, 4, 1, &headers.concat()), frame(0, 0, 1, b"\0")];
        stream.write_all(&request.concat()).unwrap();
        let (_, data) = end_of_stream(&mut stream);
        let is_problem = data.windows(12).any(|window| window == b"slow-request");
        assert_eq!(is_problem, path == "/v1/events", "{:?}", String::from_utf8_lossy(&data));
    }
    is_well(&server);
    assert_eq!(server.get("/v1/head").json()["head"], 1);
}

#[test]
fn a_request_beyond_the_limit_of_a_connection_is_refused() {
    let server = serve(Server::in_memory().limits(Limits::default().streams(1)));
    let get = |path: &[u8]| {
        let names: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":authority", b"localhost"),
            (b":path", path),
        ];
        names.map(|(name, value)| header(name, value)).concat()
    };
    let mut stream = connect(server.address);
    // A subscription has no end. A client that does not know the limit yet begins a second request beside it.
    let requests = [frame(1, 5, 1, &get(b"/v1/subscribe")), frame(1, 5, 3, &get(b"/v1/head"))];
    stream.write_all(&[settings(), requests.concat()].concat()).unwrap();
    let mut limit = None;
    let (kind, reason) = loop {
        let (kind, _, id, payload) = read_frame(&mut stream);
        // The settings of the server, and not the confirmation of the client's: the most streams have the number 3.
        if kind == 4 && !payload.is_empty() {
            limit = payload.chunks(6).find(|setting| setting[..2] == [0, 3]).map(<[u8]>::to_vec);
        }
        if id == 3 {
            break (kind, payload);
        }
    };
    assert_eq!(limit.as_deref(), Some(&[0, 3, 0, 0, 0, 1][..]));
    // A reset which says that nothing was done: the client may repeat the request.
    assert_eq!((kind, &*reason), (3, &[0, 0, 0, 7][..]));
    is_well(&server);
}

#[test]
fn headers_that_do_not_come_end_the_connection() {
    let limits = Limits::default()
        .header_time(Duration::from_millis(200))
        .keep_alive(Duration::from_millis(200));
    let server = serve(Server::in_memory().limits(limits));
    let refused = until_end(&server, b"GET /health/live HTTP/1.1\r\nHost: local");
    assert!(!refused.starts_with(b"HTTP/1.1 200"));
    // The headers of a further request, in a connection that has had a response.
    let two = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health/live HTTP/1.1\r\n";
    assert!(until_end(&server, two).starts_with(b"HTTP/1.1 200"));
    // HTTP/2: headers that are to be continued, and a frame that stops in its middle. A client cannot answer a ping
    // between them.
    let begun = frame(1, 0, 1, &header(b":method", b"GET"));
    until_end(&server, &[settings(), begun.clone()].concat());
    until_end(&server, &[&settings()[..], &begun[..12]].concat());
    is_well(&server);
}

#[test]
fn messages_that_are_not_valid_are_refused_and_change_nothing() {
    let server = serve(Server::in_memory());
    for message in [
        &[0xff; 9][..],
        &[0x0a, 0x05, 0x0a, 0xff],
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f],
        // A field of another kind, and a text that is not UTF-8.
        &[0x08, 0x01],
        &[0x0a, 0x03, 0x0a, 0x01, 0xff],
    ] {
        let refused = server.grpc("Append", "", message);
        assert_eq!(refused.header("grpc-status"), Some("3"), "{message:?}: {refused:?}");
    }
    // Messages in messages, deeper than any real one.
    let mut deep = vec![0x0a_u8, 0];
    for _ in 0..40 {
        deep = [&[0x0a, u8::try_from(deep.len()).unwrap()], &deep[..]].concat();
    }
    assert_ne!(server.grpc("Append", "", &deep).header("grpc-status"), None);
    // A frame of gRPC that says more than it has, and one that says it is compressed.
    let headers = "Content-Type: application/grpc\r\nTE: trailers\r\n";
    for body in [
        &[0, 0, 0, 0, 9, 1][..],
        &[1, 0, 0, 0, 1, 1],
        &[7, 0, 0, 0, 0],
        &[0, 0xff, 0xff, 0xff, 0xff],
    ] {
        let refused = server.send("POST", "/umadb.v1.DCB/Append", headers, body);
        assert_ne!(refused.header("grpc-status"), Some("0"), "{body:?}");
        assert_ne!(refused.header("grpc-status"), None, "{body:?}: {refused:?}");
    }
    assert_eq!(server.get("/v1/head").json()["head"], 0);
}

#[test]
fn a_full_disk_refuses_appends_until_there_is_room() {
    let disk = FaultFileSystem::new(1);
    let directory = annals_conformance::fault::on_disk("server");
    let journal = Journal::options().file_system(std::sync::Arc::new(disk.clone()));
    let journal: Journal<WireEvent> = journal.open(&directory).unwrap();
    let server = serve(Server::on(journal));
    is_well(&server);
    disk.set_room(Some(0));
    let large = json!({ "events": [{ "type": "large", "data": "x".repeat(1 << 20) }] }).to_string();
    let refused = loop {
        // What was allocated ahead is used up first.
        let response = server.post("/v1/events", &large);
        if response.status != 200 {
            break response;
        }
    };
    assert_eq!((refused.status, refused.problem().as_str()), (507, "no-room"));
    let grpc = server.grpc(
        "Append",
        "",
        &[&[0x0a, 0x84, 0x80, 0x40, 0x1a, 0x80, 0x80, 0x40][..], &vec![b'x'; 1 << 20]].concat(),
    );
    assert!(matches!(grpc.header("grpc-status"), Some("8" | "3")), "{grpc:?}");
    let head = server.get("/v1/head").json()["head"].as_u64().unwrap();
    assert_eq!(server.get("/v1/events").lines().len() as u64, head);
    assert_eq!(
        server.get("/health/ready").status,
        200,
        "reads work, and the next append may find room"
    );
    disk.set_room(None);
    assert_eq!(server.post("/v1/events", &large).json()["first"], head);
}

#[test]
fn a_write_that_fails_is_reported_and_makes_the_server_not_ready() {
    let disk = FaultFileSystem::new(2);
    let directory = annals_conformance::fault::on_disk("server");
    let journal = Journal::options().file_system(std::sync::Arc::new(disk.clone()));
    let journal: Journal<WireEvent> = journal.open(&directory).unwrap();
    let server = serve(Server::on(journal));
    is_well(&server);
    disk.fail(annals_conformance::fault::Call::Sync, 1, std::io::ErrorKind::Other);
    let body = r#"{"events":[{"type":"a"}]}"#;
    let failed = server.post("/v1/events", body);
    assert_eq!((failed.status, failed.problem().as_str()), (500, "io"), "{failed:?}");
    let refused = server.post("/v1/events", body);
    assert_eq!((refused.status, refused.problem().as_str()), (503, "poisoned"));
    assert_eq!(server.get("/health/ready").status, 503);
    assert_eq!(server.get("/v1/events/0").status, 200, "reads go on");
}

#[test]
fn a_body_that_is_one_byte_too_large_is_refused_in_chunks_too() {
    let server = serve(Server::in_memory());
    let mut stream: TcpStream = connect(server.address);
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: localhost\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [&b"100000\r\n"[..], &vec![b' '; 1 << 20], b"\r\n"].concat();
    for _ in 0..33 {
        stream.write_all(&chunk).unwrap();
    }
    stream.write_all(b"1\r\n \r\n0\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    is_well(&server);
}

#[test]
fn a_pull_reads_little_more_than_its_response_holds() {
    let log = Damaged::at(u64::MAX);
    let events = Arc::clone(&log.events);
    let server = serve(Server::on(log));
    let event = json!({ "type": "large", "data": "x".repeat(1 << 20) });
    for _ in 0..8 {
        let body = json!({ "events": vec![&event; 16] }).to_string();
        assert_eq!(server.post("/v1/events", &body).status, 200);
    }
    assert_eq!(server.send("PUT", "/v1/groups/billing", JSON, b"{}").status, 201);
    let settings = br#"{"max_in_flight":1000}"#;
    assert_eq!(server.send("PUT", "/v1/groups/billing", JSON, settings).status, 200);
    // Relaxed: the count guards no other memory, and the server has responded.
    events.store(0, Ordering::Relaxed);
    let pulled = server.post("/v1/groups/billing/pull", r#"{"worker":"a","max":256}"#);
    assert_eq!(pulled.json()["deliveries"].as_array().unwrap().len(), 7);
    let read = events.load(Ordering::Relaxed);
    // A group reads 64 events at a time, and keeps them for the pulls that follow.
    assert!(read <= 80, "{read} events of 1 MiB were read");
    assert_eq!(server.get("/v1/groups/billing").json()["in_flight"], 7);
}

#[test]
fn a_pull_delivers_the_events_before_one_that_cannot_be_read() {
    // A multiple of the number that is pulled at once.
    let server = serve(Server::on(Damaged::at(32)));
    let body = json!({ "events": vec![json!({ "type": "a" }); 40] }).to_string();
    assert_eq!(server.post("/v1/events", &body).status, 200);
    let settings = br#"{"max_in_flight":1000}"#;
    assert_eq!(server.send("PUT", "/v1/groups/billing", JSON, settings).status, 201);
    let pull = || server.post("/v1/groups/billing/pull", r#"{"worker":"a","max":256}"#);
    assert_eq!(pull().json()["deliveries"].as_array().unwrap().len(), 32);
    let failed = pull();
    assert_eq!((failed.status, failed.problem().as_str()), (500, "damaged"));
}

#[test]
fn a_list_of_parked_events_reads_little_more_than_its_client_does() {
    let log = Damaged::at(u64::MAX);
    let events = Arc::clone(&log.events);
    let server = serve(Server::on(log));
    assert_eq!(server.send("PUT", "/v1/groups/billing", JSON, b"{}").status, 201);
    let event = json!({ "type": "large", "data": "x".repeat(1 << 20) });
    for _ in 0..48 {
        let body = json!({ "events": [event] }).to_string();
        assert_eq!(server.post("/v1/events", &body).status, 200);
        let pulled = server.post("/v1/groups/billing/pull", r#"{"worker":"a"}"#);
        let leases = [&pulled.json()["deliveries"][0]["lease"]];
        let park = json!({ "leases": leases, "action": "park" }).to_string();
        assert_eq!(server.post("/v1/groups/billing/nack", &park).status, 200);
    }
    // Relaxed: the count guards no other memory, and the server has responded.
    events.store(0, Ordering::Relaxed);
    let mut slow = connect(server.address);
    slow.write_all(&request("GET", "/v1/groups/billing/parked", "", b"")).unwrap();
    let mut byte = [0];
    slow.read_exact(&mut byte).unwrap();
    // The buffers of the connection hold fewer than these, for however long the client reads no more.
    let read = events.load(Ordering::Relaxed);
    assert!(read <= 30, "{read} events of 1 MiB were read");
    let mut rest = byte.to_vec();
    slow.read_to_end(&mut rest).unwrap();
    let lines = Response::parse(&rest).lines();
    assert_eq!(lines.len(), 48);
    assert!(lines.iter().zip(0..).all(|(line, offset)| line["event"]["offset"] == offset));
}
