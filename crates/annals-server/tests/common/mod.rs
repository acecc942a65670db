//! A server in the test's process, and requests to it over plain sockets.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test program uses a part; one that cannot go on should stop"
)]

pub(crate) mod tls;
pub(crate) mod trouble;
pub(crate) mod wire;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use annals_server::{Handle, Server};
use serde_json::Value;
use tokio::runtime::Runtime;

/// A server that runs until the value is dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    runtime: Runtime,
}

/// Starts a server on a free port of 127.0.0.1.
pub(crate) fn serve(server: Server) -> Served {
    serve_in(Runtime::new().unwrap(), server)
}

/// Starts a server whose tasks have one thread: a task that blocks it blocks them all.
pub(crate) fn serve_on_one_thread(server: Server) -> Served {
    let one = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    serve_in(one.unwrap(), server)
}

fn serve_in(runtime: Runtime, server: Server) -> Served {
    let server = server.listen("127.0.0.1:0".parse().unwrap());
    let running = runtime.block_on(server.start()).unwrap();
    let (address, handle) = (running.addresses()[0], running.handle());
    runtime.spawn(running.wait());
    Served { address, handle, runtime }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.handle.drain();
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Parses the bytes of a response. Its body ends with the connection, or is in chunks.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = &bytes[end + 4..];
        let chunked = head.contains("transfer-encoding: chunked");
        let body = if chunked { dechunk(body) } else { body.to_vec() };
        Self { status, head, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(prefix.as_str()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the end of a problem's type.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let kind = self.json()["type"].as_str().unwrap().to_owned();
        kind.rsplit(':').next().unwrap().to_owned()
    }
}

fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
    body
}

/// Opens a connection whose reads give up after a long time, so that a test that fails ends.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Returns the bytes of a request. `headers` are lines, each with its line end; without a Host, localhost is added.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
    let length = body.len();
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Sends a request and returns its response, or `None` if the connection ends without one.
pub(crate) fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Option<Response> {
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    (!bytes.is_empty()).then(|| Response::parse(&bytes))
}

impl Served {
    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Response {
        let request = request(method, path, headers, body);
        exchange(connect(self.address), &request).expect("a response")
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.send("GET", path, "", b"")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Response {
        self.send("POST", path, "Content-Type: application/json\r\n", body.as_bytes())
    }

    /// Calls a gRPC method over HTTP/1.1, which the server allows.
    pub(crate) fn grpc(&self, method: &str, headers: &str, message: &[u8]) -> Response {
        let mut body = vec![0];
        body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend_from_slice(message);
        let headers = format!("Content-Type: application/grpc\r\nTE: trailers\r\n{headers}");
        self.send("POST", &format!("/umadb.v1.DCB/{method}"), &headers, &body)
    }
}
