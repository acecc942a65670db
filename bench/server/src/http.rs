//! The rows of the HTTP face, by a small client of our own: a connection a thread, kept open.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use crate::load::{Append, FILL, IN_TAG, Measured, READ, TAG, appends};
use crate::server::{Kind, Server};
use crate::{Asked, Figure, Round};

const NDJSON: &str = "Content-Type: application/x-ndjson\r\n";
const JSON: &str = "Content-Type: application/json\r\n";

pub fn round(program: &Path, asked: &Asked) -> io::Result<Round> {
    let server = Server::start(Kind::Annals, program, &asked.dir)?;
    let mut round = Round::new();
    for row in appends(asked) {
        round.push((row.to_string(), append(&server, asked, row)?));
    }
    drop(server);
    if asked.rows.is_some() {
        return Ok(round);
    }
    let server = Server::start(Kind::Annals, program, &asked.dir)?;
    let mut client = Client::connect(&server)?;
    let mut next = 0;
    while next < asked.events {
        let end = (next + FILL).min(asked.events);
        let lines = (next..end).map(|at| line(asked.bytes, &format!("seat:{}", at / IN_TAG)));
        client.send("POST", "/v1/events", NDJSON, &lines.collect::<String>())?;
        next = end;
    }
    let mut repeated = |path: &dyn Fn(u64) -> String, in_read, counts_reads| {
        repeated(&server, &mut client, asked, path, in_read, counts_reads)
    };
    let all = repeated(&|_| "/v1/events".to_owned(), asked.events, false)?;
    round.push((READ.to_owned(), all));
    let tags = asked.events / IN_TAG;
    let tag = |count: u64| format!("/v1/events?tag=seat:{}", count * 7_919 % tags);
    round.push((TAG.to_owned(), repeated(&tag, IN_TAG, true)?));
    Ok(round)
}

/// Returns an event as a line.
fn line(bytes: usize, tag: &str) -> String {
    // With its quotes, the data has `bytes` bytes.
    let data = "x".repeat(bytes.saturating_sub(2));
    format!("{{\"type\":\"seat-sold\",\"tags\":[\"{tag}\"],\"data\":\"{data}\"}}\n")
}

fn append(server: &Server, asked: &Asked, row: Append) -> io::Result<Figure> {
    let Append { clients, in_batch, condition } = row;
    let connected: Vec<_> =
        (0..clients).map(|_| Client::connect(server)).collect::<io::Result<_>>()?;
    let measured = Measured::begin(Some(server));
    let end = Instant::now() + asked.seconds;
    let work = |at: usize, mut client: Client| {
        let mut count = 0;
        while Instant::now() < end {
            let tag = format!("client:{at}:{}", count / IN_TAG);
            let (event, events) = (line(asked.bytes, &tag), in_batch as usize);
            let (headers, body) = if condition {
                // A tag that no event has: the condition is checked and holds.
                let tag = format!("none:{at}:{count}");
                let events = vec![event.trim_end(); events].join(",");
                let conditions = format!("[{{\"fail_if\":[{{\"tags\":[\"{tag}\"]}}]}}]");
                (JSON, format!("{{\"events\":[{events}],\"conditions\":{conditions}}}"))
            } else {
                (NDJSON, event.repeat(events))
            };
            client.send("POST", "/v1/events", headers, &body)?;
            count += in_batch;
        }
        Ok::<u64, io::Error>(count)
    };
    let count = std::thread::scope(|scope| {
        let clients = connected.into_iter().enumerate();
        let started: Vec<_> =
            clients.map(|(at, client)| scope.spawn(move || work(at, client))).collect();
        started.into_iter().map(|thread| thread.join().expect("a thread")).sum::<io::Result<u64>>()
    })?;
    Ok(measured.end(Some(server), count))
}

/// Reads again and again for the time of a row, each time so many events. Returns the rate of reads, or of their events.
fn repeated(
    server: &Server,
    client: &mut Client,
    asked: &Asked,
    path: &dyn Fn(u64) -> String,
    in_read: u64,
    counts_reads: bool,
) -> io::Result<Figure> {
    let measured = Measured::begin(Some(server));
    let (mut reads, begin) = (0, Instant::now());
    while reads == 0 || begin.elapsed() < asked.seconds {
        let events = client.send("GET", &path(reads), "", "")?;
        if events != in_read {
            return Err(io::Error::other(format!("{events} events instead of {in_read}")));
        }
        reads += 1;
    }
    Ok(measured.end(Some(server), if counts_reads { reads } else { reads * in_read }))
}

/// A connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(server: &Server) -> io::Result<Self> {
        let stream = TcpStream::connect(&server.address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(1 << 18, stream)))
    }

    /// Sends a request and reads its response. Returns the number of lines of the body.
    fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> io::Result<u64> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.0.get_mut().write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
        let mut length = None;
        let mut head = String::new();
        for at in 0.. {
            head.clear();
            self.0.read_line(&mut head)?;
            if at == 0 && !head.starts_with("HTTP/1.1 200") {
                return Err(io::Error::other(head));
            }
            let (name, value) = head.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok();
            }
            if head.trim_end().is_empty() {
                break;
            }
        }
        match length {
            Some(length) => self.lines(length),
            None => self.chunks(),
        }
    }

    fn chunks(&mut self) -> io::Result<u64> {
        let (mut lines, mut size) = (0, String::new());
        loop {
            size.clear();
            self.0.read_line(&mut size)?;
            let length = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            lines += self.lines(length)?;
            self.0.read_exact(&mut [0; 2])?;
            if length == 0 {
                return Ok(lines);
            }
        }
    }

    /// Reads so many bytes, and returns the number of line ends in them.
    fn lines(&mut self, mut length: u64) -> io::Result<u64> {
        let mut lines = 0;
        while length > 0 {
            let buffer = self.0.fill_buf()?;
            let part = buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            if part == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            lines += buffer[..part].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.0.consume(part);
            length -= part as u64;
        }
        Ok(lines)
    }
}
