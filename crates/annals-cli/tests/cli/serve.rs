//! `annals serve`, as a person uses it: with a signal at its end.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::harness::{TestDir, annals};

/// A server, and the address on which it listens.
pub(crate) struct Serving {
    process: Child,
    pub(crate) address: String,
    /// What it printed until it listened.
    pub(crate) begin: String,
    notes: BufReader<std::process::ChildStderr>,
}

impl Serving {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::run(Command::new(env!("CARGO_BIN_EXE_annals")), args)
    }

    /// Starts a server with a command that ends with the path of the program.
    fn run(mut command: Command, args: &[&str]) -> Self {
        let mut process = command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args)
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut notes = BufReader::new(process.stderr.take().unwrap());
        let mut begin = String::new();
        // The last line of the start.
        while !begin.contains("pages for a browser") {
            assert_ne!(notes.read_line(&mut begin).unwrap(), 0, "the server ended: {begin}");
        }
        let address = begin.lines().find_map(|line| line.split("listening on ").nth(1));
        let address = address.unwrap().to_owned();
        Self { process, address, begin, notes }
    }

    /// Sends a request and returns the whole response.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> String {
        self.send_with(method, path, "Host: localhost\r\n", body)
    }

    /// Sends a request with these lines of headers, and returns the whole response.
    pub(crate) fn send_with(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request(method, path, headers, body).as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Waits for the end. Returns the exit code and the notes.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut notes = String::new();
        self.notes.read_to_string(&mut notes).unwrap();
        (self.process.wait().unwrap().code(), notes)
    }
}

/// Returns a request with these lines of headers.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn events_that_came_over_http_are_in_the_store_after_a_signal() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let serving = Serving::start(&[&store]);
    let appended =
        serving.send("POST", "/v1/events", r#"{"events":[{"type":"a","data":{"n":1}}]}"#);
    assert!(appended.ends_with(r#"{"already":false,"first":0,"head":1,"last":0}"#), "{appended}");
    let metrics = serving.send("GET", "/metrics", "");
    for name in [
        "annals_rpc_duration_seconds_bucket{face=\"http\",method=\"POST\",code=\"200\",le=\"+Inf\"} 1",
        "annals_append_duration_seconds_bucket{backend=\"journal\",le=\"10\"} 1",
        "annals_commit_events_bucket{backend=\"journal\",le=\"1\"} 1",
        "annals_rpc_in_flight 1",
        "annals_connections ",
        "annals_wire_bytes_total{direction=\"in\"}",
        "annals_wire_bytes_total{direction=\"out\"}",
        "annals_subscription_lag_events{face=\"grpc\"} 0",
        "annals_subscription_lag_events{face=\"http\"} 0",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
    // A summary takes memory for the values that it has seen.
    assert!(!metrics.contains("summary") && !metrics.contains("quantile="), "{metrics}");
    let locked = annals(["append", &store, "--type", "b"], "");
    locked.fails(&["is open for writing in process"]);
    serving.signal("-TERM");
    let (code, notes) = serving.end();
    assert_eq!(code, Some(0), "{notes}");
    let read = annals(["read", &store], "").succeeds();
    assert!(read.out.contains(r#""type":"a","data":{"n":1}}"#), "{}", read.out);
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let dir = TestDir::new();
    let serving = Serving::start(&[&dir.arg("a.store"), "--body-time", "1h"]);
    // A request whose body does not come. The server asks for the body once the request is at work.
    let mut stream = TcpStream::connect(&serving.address).unwrap();
    let head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head).unwrap();
    let mut asked = [0; 12];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    // Both signals wait while the process is stopped. The first alone lets the request finish, and ends with 0.
    for signal in ["-STOP", "-TERM", "-INT", "-CONT"] {
        serving.signal(signal);
    }
    assert_eq!(serving.end().0, Some(130));
}

#[test]
fn a_verification_that_goes_on_refuses_a_second_one_and_does_not_keep_the_server() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let serving = Serving::start(&[&store]);
    serving.send("POST", "/v1/events", r#"{"events":[{"type":"a"}]}"#);
    // Two segments that are pipes. Opening a pipe waits until its other end is opened.
    let [first, second] = ["1", "2"].map(|end| dir.path("a.store").join(format!("{end:0>20}.log")));
    assert!(Command::new("mkfifo").args([&first, &second]).status().unwrap().success());
    let mut stream = TcpStream::connect(&serving.address).unwrap();
    let verify =
        b"POST /v1/verify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 0\r\n\r\n";
    stream.write_all(verify).unwrap();
    // Waits until the verification is at the first pipe. It then waits at the second, which nothing opens.
    drop(std::fs::OpenOptions::new().write(true).open(&first).unwrap());
    let second = serving.send("POST", "/v1/verify", "");
    assert!(second.starts_with("HTTP/1.1 429 ") && second.contains("problem:busy"), "{second}");
    assert!(second.contains("retry-after: 1\r\n"), "{second}");
    drop(stream);
    serving.signal("-TERM");
    // The test hangs here if the server does not end.
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn a_server_that_lets_everybody_in_warns_at_each_start() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    for _ in 0..2 {
        let serving = Serving::start(&[&store, "--listen", "0.0.0.0:0", "--insecure"]);
        assert!(serving.begin.contains("everybody who reaches 0.0.0.0:0"), "{}", serving.begin);
        serving.signal("-TERM");
        assert_eq!(serving.end().0, Some(0));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_limit_of_open_files_is_raised() {
    let dir = TestDir::new();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -n 128 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_annals")]);
    let serving = Serving::run(command, &[&dir.arg("a.store")]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serving.process.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
    assert_ne!(numbers[0], "128", "{line}");
    serving.signal("-TERM");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn slow_clients_have_the_times_of_the_options() {
    let dir = TestDir::new();
    let serving =
        Serving::start(&[&dir.arg("a.store"), "--body-time", "200ms", "--header-time", "200ms"]);
    let begun = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(&serving.address).unwrap();
        stream.write_all(bytes).unwrap();
        let mut response = String::new();
        let _ = stream.read_to_string(&mut response);
        response
    };
    let body = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 9\r\n\r\n{";
    let refused = begun(body);
    assert!(refused.starts_with("HTTP/1.1 408") && refused.contains("slow-request"), "{refused}");
    assert!(!begun(b"GET /health/live HTTP/1.1\r\n").starts_with("HTTP/1.1 200"));
    serving.signal("-TERM");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn segments_have_the_size_of_the_option() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let body = format!(r#"{{"events":[{{"type":"a","data":"{}"}}]}}"#, "x".repeat(3000));
    for (size, segments) in [("4KiB", 2), ("1048576", 2), ("4KiB", 4)] {
        let serving = Serving::start(&[&store, "--segment-bytes", size]);
        for _ in 0..4 {
            serving.send("POST", "/v1/events", &body);
        }
        serving.signal("-TERM");
        assert_eq!(serving.end().0, Some(0));
        let stats = annals(["stats", &store, "-f", "jsonl"], "").succeeds();
        assert!(stats.out.contains(&format!(r#""segments":{segments},"#)), "{size}: {}", stats.out);
    }
    for size in ["4095", "3GiB", "64MB", "-1", "99999999999GiB", ""] {
        let size = format!("--segment-bytes={size}");
        annals(["serve", &store, &size], "").complains(&["expected a size from 4KiB to 2GiB"]);
    }
    annals(["serve", &store, "--segment-bytes=8KiB", "--read-only"], "")
        .complains(&["--segment-bytes", "--read-only"]);
    annals(["serve", "rocksdb:a", "--segment-bytes=8KiB"], "")
        .complains(&["a store in RocksDB has no segments"]);
}

#[test]
fn a_killed_server_has_kept_what_it_answered() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let serving = Serving::start(&[&store]);
    serving.send("POST", "/v1/events", r#"{"events":[{"type":"a"}]}"#);
    serving.signal("-KILL");
    assert_eq!(serving.end().0, None);
    let serving = Serving::start(&[&store]);
    assert!(serving.send("GET", "/v1/head", "").ends_with(r#"{"head":1}"#));
    serving.signal("-INT");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn it_reads_beside_a_writer_and_appends_nothing() {
    let dir = TestDir::new();
    let store = dir.store("a.store", "{\"type\":\"a\"}\n");
    let serving = Serving::start(&[&store, "--read-only"]);
    assert!(serving.send("GET", "/v1/events", "").contains(r#""type":"a""#));
    let refused = serving.send("POST", "/v1/events", r#"{"events":[{"type":"b"}]}"#);
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("read-only"), "{refused}");
    serving.signal("-TERM");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn a_server_can_be_started_before_the_one_that_it_replaces_has_ended() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let old = Serving::start(&[&store, "--durability", "buffered"]);
    old.send("POST", "/v1/events", r#"{"events":[{"type":"a"}]}"#);
    let in_time = ["serve", &store, "--listen", "127.0.0.1:0", "--wait=1ms"];
    annals(in_time, "").fails(&["is open for writing in process"]);
    std::thread::scope(|scope| {
        let new = scope.spawn(|| Serving::start(&[&store, "--wait"]));
        old.signal("-TERM");
        assert_eq!(old.end().0, Some(0));
        let new = new.join().unwrap();
        assert!(new.send("GET", "/v1/head", "").ends_with(r#"{"head":1}"#));
        new.signal("-TERM");
        assert_eq!(new.end().0, Some(0));
    });
}

#[test]
fn a_server_that_waits_for_the_store_ends_at_a_signal() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let old = Serving::start(&[&store]);
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_annals"))
        .args(["serve", &store, "--listen", "127.0.0.1:0", "--wait"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(waiting.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("waiting"), "{line}");
    let id = waiting.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
    old.signal("-TERM");
    assert_eq!(old.end().0, Some(0));
}

#[test]
fn workers_share_events_and_a_killed_server_keeps_their_leases() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    let serving = Serving::start(&[&store]);
    serving.send("POST", "/v1/events", r#"{"events":[{"type":"a"},{"type":"a"}]}"#);
    let created = serving.send("PUT", "/v1/groups/mailer", "{}");
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
    let pulled = serving.send("POST", "/v1/groups/mailer/pull", r#"{"worker":"one"}"#);
    let lease = pulled.split(r#""lease":""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    serving.signal("-KILL");
    serving.end();
    let serving = Serving::start(&[&store]);
    let other = serving.send("POST", "/v1/groups/mailer/pull", r#"{"worker":"two","max":9}"#);
    assert!(other.contains(r#""offset":1"#) && !other.contains(r#""offset":0"#), "{other}");
    let body = format!(r#"{{"leases":["{lease}"]}}"#);
    let acked = serving.send("POST", "/v1/groups/mailer/ack", &body);
    assert!(acked.starts_with("HTTP/1.1 200"), "{acked}");
    // The list of the command shows the group beside the server.
    let listed = annals(["consumers", &store], "").succeeds();
    assert!(listed.out.contains("mailer"), "{}", listed.out);
    serving.signal("-TERM");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn the_tokens_are_read_again_at_a_hangup() {
    let dir = TestDir::new();
    let (store, tokens) = (dir.arg("a.store"), dir.arg("tokens"));
    let hash = |digit: &str| digit.repeat(64);
    std::fs::write(&tokens, format!("a {} read\n", hash("0"))).unwrap();
    let mut serving = Serving::start(&[&store, "--tokens", &tokens]);
    assert!(serving.send("GET", "/v1/head", "").starts_with("HTTP/1.1 401"));
    for (text, note) in [("a b c", "line 1"), (&*format!("a {} read\n", hash("1")), "again")] {
        std::fs::write(&tokens, text).unwrap();
        serving.signal("-HUP");
        let mut line = String::new();
        serving.notes.read_line(&mut line).unwrap();
        assert!(line.contains(note), "{line}");
    }
    serving.signal("-TERM");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn what_cannot_be_served_is_named() {
    let dir = TestDir::new();
    let store = dir.arg("a.store");
    annals(["serve", &store, "--listen", "0.0.0.0:0"], "").fails(&["other machines", "TLS"]);
    annals(["serve", &store, "--tokens", &dir.arg("none")], "").fails(&["cannot read", "none"]);
    annals(["serve", &store, "--read-only"], "").fails(&["there is no store"]);
    annals(["serve", &store, "--tls-cert", "x"], "").complains(&["--tls-key"]);
    let mutual = ["serve", &store, "--listen-mutual", "127.0.0.1:0"];
    annals(mutual, "").complains(&["--client-ca"]);
    annals(["serve", &store, "--read-only", "--wait"], "").complains(&["--wait"]);
    annals(["serve", &store, "--listen", "here"], "").complains(&["--listen"]);
    annals(["serve", &store, "--body-time", "10"], "").complains(&["--body-time", "10s"]);
    assert!(!dir.path("a.store").exists());
}

#[test]
fn the_unit_and_the_container_use_options_that_exist() {
    let help = annals(["serve", "--help"], "").succeeds().out;
    let packaging = std::path::Path::new("../../packaging");
    for (file, begins) in [
        (
            "annals.service",
            &["ExecStart=/usr/local/bin/annals serve /", "# For other machines"][..],
        ),
        ("Containerfile", &["ENTRYPOINT [\"annals\", \"serve\"", "#     --tls-cert"][..]),
    ] {
        let text = std::fs::read_to_string(packaging.join(file)).unwrap();
        for begin in begins {
            let line = text.lines().find(|line| line.starts_with(begin));
            let line = line.unwrap_or_else(|| panic!("{file} has no line {begin:?}"));
            let words = line.split([' ', '"', ',', '.']).filter(|word| word.starts_with("--"));
            for option in words {
                assert!(help.contains(&format!("{option} ")), "{file}: {option}");
            }
        }
    }
}
