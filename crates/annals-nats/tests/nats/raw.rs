//! A client of a few lines, for what the engine does not do: other streams, deleted entries, deleted streams.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::{HANGS, Servers};

/// Sends a request to the first server that answers it, and returns the answer.
pub(crate) fn request(servers: &Servers, subject: &str, body: &str) -> String {
    let began = Instant::now();
    loop {
        for node in 0..servers.count() {
            let answer = try_request(servers.node(node).port, subject, body);
            match answer {
                Ok(answer) if !answer.contains("\"err_code\":10008") => return answer,
                _ => {}
            }
        }
        assert!(began.elapsed() < HANGS, "{subject}: no answer");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks `JetStream` to do something. Panics if it refuses.
pub(crate) fn api(servers: &Servers, what: &str, body: &str) -> String {
    let answer = request(servers, &format!("$JS.API.{what}"), body);
    assert!(!answer.contains("\"err_code\""), "{what}: {answer}");
    answer
}

/// Returns the server that leads the stream of a record. Only a leader answers.
pub(crate) fn leader(servers: &Servers, record: &str) -> usize {
    let began = Instant::now();
    loop {
        let answer = api(servers, &format!("STREAM.INFO.{record}"), "");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let name = answer["cluster"]["leader"].as_str().and_then(|name| name.strip_prefix('n'));
        if let Some(number) = name.and_then(|number| number.parse::<usize>().ok()) {
            return number - 1;
        }
        assert!(began.elapsed() < HANGS, "the stream of {record} has no leader: {answer}");
    }
}

fn try_request(port: u16, subject: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    write!(stream, "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\n")?;
    write!(stream, "PUB {subject} answer {}\r\n{body}\r\n", body.len())?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 || line.starts_with("-ERR") {
            return Err(std::io::Error::other(line));
        }
        if line.starts_with("MSG ") {
            let size = line.split_whitespace().last().and_then(|size| size.parse().ok());
            let mut answer = vec![0; size.unwrap()];
            lines.read_exact(&mut answer)?;
            return Ok(String::from_utf8(answer).unwrap());
        }
    }
}
