//! The inspector as a browser asks for it: every page, full and empty, with hostile events, and what is refused.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};

use annals::{Event, EventStore, Projection, Query, Recorded};
use annals_consumer::{Consumers as _, Nack};
use annals_server::Server;
use common::{Response, Served, connect, request, serve};
use serde_json::json;
use sha2::{Digest as _, Sha256};

const NDJSON: &str = "Content-Type: application/x-ndjson\r\n";
const FORM: &str =
    "Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://localhost\r\n";

/// The pages of a log, whatever is in it.
const PAGES: [&str; 11] = [
    "/ui",
    "/ui/events",
    "/ui/events?order=oldest&limit=5",
    "/ui/events?live=1",
    "/ui/tags",
    "/ui/tags?order=name&prefix=se",
    "/ui/state",
    "/ui/state?view=counts",
    "/ui/consumers",
    "/ui/verify",
    "/ui/login",
];

fn append(server: &Served, lines: &str) {
    let response = server.send("POST", "/v1/events", NDJSON, lines.as_bytes());
    assert_eq!(response.status, 200, "{response:?}");
}

/// Returns the text of a page that is served as all pages must be.
fn page(server: &Served, path: &str) -> String {
    let response = server.get(path);
    checked(&response, path, 200)
}

fn checked(response: &Response, path: &str, status: u16) -> String {
    assert_eq!(response.status, status, "{path}: {response:?}");
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    let policy = response.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{path}"
    );
    assert!(!policy.contains("unsafe"), "{path}");
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
    let text = response.text();
    for (index, _) in text.match_indices("<script") {
        assert!(text[index..].starts_with("<script src=\"/ui/assets/"), "{path}");
    }
    for inline in ["<style", " style=", " onclick=", "javascript:"] {
        assert!(!text.contains(inline), "{path}: {inline}");
    }
    text
}

#[test]
fn every_page_of_an_empty_log_says_so() {
    let server = serve(Server::in_memory());
    for path in PAGES {
        page(&server, path);
    }
    for (path, words) in [
        ("/ui", "The log is empty"),
        ("/ui/events", "No event matches"),
        ("/ui/tags", "No tags"),
        ("/ui/consumers", "no consumers and no groups"),
        ("/ui/verify", "Only a store in files"),
        ("/ui/state?view=counts", "no events of this projection"),
    ] {
        let text = page(&server, path);
        assert!(text.contains(words), "{path}: {text}");
    }
    let root = server.get("/");
    assert_eq!((root.status, root.header("location")), (303, Some("/ui")));
}

#[test]
fn every_page_of_a_full_log_shows_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(Server::open(directory.path().join("a.store")));
    let mut lines = String::new();
    for n in 0..120 {
        let event = json!({
            "type": "seat-sold", "tags": [format!("seat:{}", n % 3), "show:7"], "id": format!("sale-{n}"),
            "data": { "n": n }, "metadata": { "user": "alice" },
        });
        writeln!(lines, "{event}").unwrap();
    }
    lines.push_str(r#"{"type":"mailed","tags":["seat:0"],"id":"mail-1","#);
    lines.push_str(r#""metadata":{"causation-id":"sale-119","correlation-id":"c"}}"#);
    lines.push('\n');
    lines.push_str(r#"{"type":"read","metadata":{"cause":"mail-1","correlation-id":"c"}}"#);
    append(&server, &lines);
    for path in PAGES {
        page(&server, path);
    }
    for (path, words) in [
        ("/ui", &["<dd><bdi>122</bdi></dd>", "seat-sold", "seat:", "prefix=show%3A"][..]),
        ("/ui/events", &["href=\"/ui/events/121\"", "Older events", "to=72&amp;limit=50"]),
        (
            "/ui/events?type=mailed&or=&tag=seat:1&order=oldest&limit=2",
            &["/ui/events/1\"", "Newer events", "from=5"],
        ),
        ("/ui/events?from=2000-01-01&to=2000-01-02", &["No event matches"]),
        (
            "/ui/events?json=%5B%7B%22types%22%3A%5B%22mailed%22%5D%7D%5D",
            &["value=\"mailed\"", "1 event<"],
        ),
        (
            "/ui/events/5",
            &["sale-5", "2 of 40", "href=\"/ui/events/2\"", "href=\"/ui/events/8\"", "alice"],
        ),
        (
            "/ui/events/120",
            &["What caused it", "/ui/events/119\"", "What it caused", "/ui/events/121\""],
        ),
        ("/ui/events/121", &["mail-1", "/ui/events/119\"", "Of the same correlation"]),
        ("/ui/tag?name=seat%3A0", &["<dd>41</dd>", "mailed", "show:7"]),
        ("/ui/tags?prefix=seat%3A", &["3 tags", "seat:2"]),
        ("/ui/suggest/tags?tag=sh", &["<option value=\"show:7\">"]),
        ("/ui/suggest/types?type=", &["<option value=\"seat-sold\">"]),
        (
            "/ui/state?view=counts&of=seat%3A1&step=2",
            &["event 2 of 40", "At offset 4", "/types/seat-sold"],
        ),
        ("/ui/state?view=merge&of=seat%3A2&at=7", &["At offset 5", "/n"]),
    ] {
        let text = page(&server, path);
        for words in words {
            assert!(text.contains(words), "{path}: {words}: {text}");
        }
    }
    let data = server.get("/ui/events/5/data");
    assert_eq!(
        (&*data.text(), data.header("content-disposition").unwrap()),
        ("{\"n\":5}", "attachment; filename=\"event-5\"")
    );
}

#[test]
fn what_is_not_there_is_a_page_too() {
    let server = serve(Server::in_memory());
    for (path, status) in [
        ("/ui/events/0", 404),
        ("/ui/events/x", 400),
        ("/ui/events/18446744073709551616", 400),
        ("/ui/events/0/data", 404),
        ("/ui/events?from=yesterday", 400),
        ("/ui/events?json=%7B", 400),
        ("/ui/events?limit=x", 400),
        ("/ui/tag?name=none", 404),
        ("/ui/tag", 400),
        ("/ui/state?view=none&of=x", 404),
        ("/ui/state?view=counts&step=-1", 400),
        ("/ui/consumers/none", 404),
        ("/ui/suggest/other", 404),
        ("/ui/none", 404),
    ] {
        checked(&server.get(path), path, status);
    }
    assert_eq!(server.get("/ui/assets/none").status, 404);
}

#[test]
fn hostile_events_are_shown_and_do_nothing() {
    let server = serve(Server::in_memory());
    let script = "<script>alert(1)</script>";
    let image = "\"><img src=x onerror=alert(1)>";
    let hostile = json!({
        "type": script, "tags": [image, "\u{202e}gnp.exe"], "id": script,
        "metadata": { image: script, "causation-id": format!("{script}!") },
        "data": format!("{script}{image}\u{202e}"),
    });
    append(&server, &hostile.to_string());
    let raw = |bytes: &[u8]| base64(bytes);
    append(
        &server,
        &format!(
            r#"{{"type":"raw","tags":["t"],"data_base64":"{}"}}"#,
            raw(b"</pre><script>\xff\xfe\r\nevent: rows")
        ),
    );
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    append(
        &server,
        &format!(r#"{{"type":"deep","tags":["t"],"data_base64":"{}"}}"#, raw(deep.as_bytes())),
    );
    let nested = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    append(&server, &format!(r#"{{"type":"nested","tags":["t"],"data":{nested}}}"#));
    let large = "<".repeat((16 << 20) - 2);
    append(&server, &format!(r#"{{"type":"large","tags":["t"],"data":"{large}"}}"#));
    for offset in 0..5 {
        for form in ["", "?show=json", "?show=text", "?show=hex", "?show=%3Cscript%3E"] {
            let text = page(&server, &format!("/ui/events/{offset}{form}"));
            assert!(text.len() < 4 << 20, "{offset}{form}: {} bytes", text.len());
            assert!(!text.contains("<img") && !text.contains('\u{202e}'), "{offset}{form}");
        }
    }
    let encoded: String =
        form_urlencoded::byte_serialize("\"><img src=x onerror=alert(1)>".as_bytes()).collect();
    for path in [
        "/ui".to_owned(),
        "/ui/events".to_owned(),
        "/ui/tags".to_owned(),
        format!("/ui/tag?name={encoded}"),
        format!("/ui/tags?prefix={encoded}"),
        format!("/ui/events?tag={encoded}&type={encoded}&from=0"),
        format!("/ui/suggest/tags?x={encoded}"),
        format!("/ui/state?view=merge&of={encoded}"),
        "/ui/state?view=merge&of=t".to_owned(),
        "/ui/state?view=counts".to_owned(),
    ] {
        let text = page(&server, &path);
        assert!(
            !text.contains("<img") && !text.contains('\u{202e}') && text.len() < 2 << 20,
            "{path}"
        );
    }
    for path in [
        format!("/ui/events?from={encoded}"),
        format!("/ui/state?view={encoded}&of={encoded}"),
        format!("/ui/consumers/{}", encoded.replace('+', "%20")),
    ] {
        let response = server.get(&path);
        let text = checked(&response, &path, response.status);
        assert!(!text.contains("<img"), "{path}: {text}");
    }
    // The tail sends the same rows, each line of them as data.
    let mut stream = connect(server.address);
    stream.write_all(&request("GET", "/ui/tail", "", b"")).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let data: String = lines.find(|line| line.starts_with("data: ")).unwrap();
    assert!(data.contains("&lt;script&gt;") && !data.contains("<script"), "{data}");
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn the_tail_shows_an_append_and_ends_with_the_server() {
    let server = serve(Server::in_memory());
    append(&server, r#"{"type":"first","tags":["a"]}"#);
    let mut stream = connect(server.address);
    stream.write_all(&request("GET", "/ui/tail?tag=a", "", b"")).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut until = |wanted: &str| lines.by_ref().find(|line| line.contains(wanted)).expect(wanted);
    until("event: rows");
    until("first");
    assert!(page(&server, "/ui/consumers").contains("inspector"));
    append(
        &server,
        "{\"type\":\"other\",\"tags\":[\"b\"]}\n{\"type\":\"second\",\"tags\":[\"a\"]}",
    );
    let rows = until("second");
    assert!(rows.contains("first") && !rows.contains("other"), "{rows}");
    let mut pulse = connect(server.address);
    pulse.write_all(&request("GET", "/ui/pulse", "", b"")).unwrap();
    let mut pulses = BufReader::new(pulse).lines().map(Result::unwrap);
    assert!(pulses.any(|line| line.contains("Events per second")));
    server.handle.drain();
    assert!(lines.all(|line| !line.contains("third")));
    assert!(pulses.last().is_some());
}

fn token_line(name: &str, secret: &[u8], rights: &str) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(secret) {
        write!(hex, "{byte:02x}").expect("a string takes all text");
    }
    format!("{name} {hex} {rights}\n")
}

#[test]
fn a_token_opens_a_session_with_its_rights() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    let lines = token_line("reader", b"r", "read")
        + &token_line("boss", b"b", "read,admin")
        + &token_line("writer", b"w", "append");
    fs::write(&file, &lines).unwrap();
    let server = serve(Server::open(directory.path().join("a.store")).tokens(&file));
    for path in
        ["/ui", "/ui/events?tag=a", "/ui/tail", "/ui/state/json?view=counts", "/ui/events/0/data"]
    {
        let text = checked(&server.get(path), path, 401);
        assert!(text.contains("action=\"/ui/login\""), "{path}");
    }
    assert_eq!(server.get("/ui/assets/none").status, 404);
    let wrong = server.send("POST", "/ui/login", FORM, b"token=x&next=/ui/events");
    assert!(checked(&wrong, "login", 401).contains("does not know"));
    let sign_in = |token: &str, next: &str| {
        let response =
            server.send("POST", "/ui/login", FORM, format!("token={token}&next={next}").as_bytes());
        assert_eq!(response.status, 303, "{response:?}");
        let cookie = response.header("set-cookie").unwrap().to_owned();
        assert!(
            cookie.contains("httponly; samesite=strict") && cookie.contains("path=/ui;"),
            "{cookie}"
        );
        let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
        (response.header("location").unwrap().to_owned(), cookie)
    };
    let (location, reader) = sign_in("r", "/ui/events?tag=a");
    assert_eq!(location, "/ui/events?tag=a");
    assert_eq!(sign_in("r", "https://evil.example").0, "/ui");
    assert_eq!(sign_in("r", "//evil.example/ui/").0, "/ui");
    let send = |method: &str, path: &str, cookie: &str| {
        server.send(method, path, &format!("{FORM}{cookie}"), b"")
    };
    assert_eq!(send("GET", "/ui", &reader).status, 200);
    // The cookie opens no other face.
    assert_eq!(send("GET", "/v1/head", &reader).status, 401);
    assert!(checked(&send("POST", "/ui/verify", &reader), "verify", 403).contains("admin"));
    let (_, writer) = sign_in("w", "/ui");
    checked(&send("GET", "/ui", &writer), "/ui", 403);
    let (_, boss) = sign_in("b", "/ui");
    assert_eq!(send("POST", "/ui/verify", &boss).status, 303);
    // A token that is not in the file any more.
    fs::write(&file, token_line("boss", b"b", "read,admin")).unwrap();
    server.handle.reload().unwrap();
    assert_eq!((send("GET", "/ui", &reader).status, send("GET", "/ui", &boss).status), (401, 200));
    assert_eq!(send("POST", "/ui/logout", &boss).status, 303);
    assert_eq!(send("GET", "/ui", &boss).status, 401);
}

#[test]
fn other_pages_cannot_send_forms() {
    let server = serve(Server::in_memory().cors_origin("http://localhost:3000"));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let status = |headers: &str| server.send("POST", "/ui/verify", headers, b"").status;
    assert_eq!(status(form), 415, "without an origin");
    assert_eq!(status(&format!("{form}Origin: https://evil.example\r\n")), 403);
    assert_eq!(status(&format!("{form}Origin: null\r\n")), 403);
    let other = "Origin: http://localhost:3000\r\n";
    assert_eq!(status(&format!("{form}{other}")), 403, "an allowed origin");
    for method in ["GET", "OPTIONS"] {
        let refused = server.send(method, "/ui", other, b"");
        checked(&refused, "/ui", 403);
        assert_eq!(refused.header("access-control-allow-origin"), None, "{method}");
    }
    assert_eq!(server.send("GET", "/v1/head", other, b"").status, 200);
    assert_eq!(status("Content-Type: text/plain\r\nOrigin: http://localhost\r\n"), 415);
    assert_eq!(status(FORM), 404, "in memory");
    // Forms are for the inspector only.
    assert_eq!(server.send("POST", "/v1/events", FORM, b"").status, 415);
    let foreign = server.send("GET", "/ui", "Host: evil.example\r\n", b"");
    checked(&foreign, "/ui", 421);
}

#[test]
fn a_store_is_verified_and_its_consumers_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.store");
    {
        let store = EventStore::<annals::RawEvent>::open(&path).unwrap();
        store.append(annals::RawEvent::builder("a").build().unwrap()).unwrap();
        drop(store.consumer("<mailer>").start());
        store.consumer("mailer").from(1).start().unwrap();
        let group = store.group("billing").open().unwrap();
        let delivery = group.worker("one").next().unwrap().unwrap();
        delivery.nack(Nack::Park, "<script>no").unwrap();
    }
    let server = serve(Server::open(&path));
    let text = page(&server, "/ui/consumers");
    assert!(text.contains("mailer") && text.contains("/ui/consumers/billing"), "{text}");
    let group = page(&server, "/ui/consumers/billing");
    assert!(
        group.contains("&lt;script&gt;no") && group.contains("Deliver all of them again"),
        "{group}"
    );
    let settle =
        |action: &str| server.send("POST", "/ui/consumers/billing/parked", FORM, action.as_bytes());
    checked(&settle("action=other"), "settle", 400);
    let replayed = settle("action=replay");
    assert_eq!(
        (replayed.status, replayed.header("location")),
        (303, Some("/ui/consumers/billing")),
        "{replayed:?}"
    );
    assert!(page(&server, "/ui/consumers/billing").contains("No event is parked"));
    let started = server.send("POST", "/ui/verify", FORM, b"");
    assert_eq!((started.status, started.header("location")), (303, Some("/ui/verify")));
    while page(&server, "/ui/verify").contains("hx-trigger=\"every 1s\"") {
        std::thread::yield_now();
    }
    assert!(page(&server, "/ui/verify").contains("No damage"));
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Booking {
    SeatSold {
        #[event(tag = "seat")]
        seat: String,
        price: u32,
    },
}

struct Takings;

impl Projection for Takings {
    type Event = Booking;
    type State = (u32, Vec<String>);

    fn initial(&self) -> Self::State {
        (0, Vec::new())
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, (sum, seats): &mut Self::State, event: &Recorded<Booking>) {
        let Booking::SeatSold { seat, price } = &event.event;
        *sum += price;
        seats.push(seat.clone());
    }
}

struct Sold(String);

impl Projection for Sold {
    type Event = Booking;
    type State = u32;

    fn initial(&self) -> u32 {
        0
    }

    fn query(&self) -> Query {
        Query::tag(format!("seat:{}", self.0))
    }

    fn apply(&self, times: &mut u32, _: &Recorded<Booking>) {
        assert!(self.0 != "panics", "a projection that panics");
        *times += 1;
    }
}

/// A typed store hosts the server, which shows the program's projections and appends into the same log.
#[test]
fn a_program_shows_its_own_projections() {
    let directory = tempfile::tempdir().unwrap();
    let store: EventStore<Booking, _> = EventStore::open(directory.path().join("a.store")).unwrap();
    for n in 0..300 {
        store.append(Booking::SeatSold { seat: (n % 3).to_string(), price: n }).unwrap();
    }
    let server = Server::share(&store)
        .projection("takings", Takings)
        .projections("seat:", |seat| (seat != "none").then(|| Sold(seat.to_owned())));
    let server = serve(server);
    let state = |query: &str| server.get(&format!("/ui/state/json?{query}")).text();
    for step in [0, 1, 2, 15, 16, 17, 150, 299, 300, 301] {
        let sum: u32 = (0..step.min(300)).sum();
        let text = state(&format!("view=takings&step={step}"));
        assert!(text.starts_with(&format!("[{sum},[")), "{step}: {text}");
    }
    assert_eq!(state("view=seat&of=1"), "100");
    assert_eq!(state("view=seat&of=seat%3A1&at=3"), "1");
    assert_eq!(state("view=seat&of=1&at=4"), "2");
    append(
        &server,
        concat!(
            r#"{"type":"unknown","tags":["seat:1"]}"#,
            "\n",
            r#"{"type":"seat-sold","tags":["seat:1"],"data":{"seat":"1","price":1}}"#
        ),
    );
    assert_eq!(store.len(), 302, "the program sees what a client appended");
    assert_eq!(state("view=seat&of=1"), "101");
    let text = page(&server, "/ui/state?view=seat&of=1");
    assert!(text.contains("1 event up to here could not be used"), "{text}");
    assert!(text.contains("takings") && text.contains("seat (what follows"), "{text}");
    checked(&server.get("/ui/state?view=seat&of=none"), "none", 404);
    store.append(Booking::SeatSold { seat: "panics".into(), price: 1 }).unwrap();
    checked(&server.get("/ui/state?view=seat&of=panics"), "panics", 500);
    assert_eq!(state("view=seat&of=1"), "101");
    let part = server.get("/ui/state/part?view=seat&of=1&step=2");
    assert_eq!(part.header("hx-replace-url"), Some("/ui/state?view=seat&of=1&at=4"));
    // The server ends, and the program goes on.
    drop(server);
    store.append(Booking::SeatSold { seat: "1".into(), price: 1 }).unwrap();
}
