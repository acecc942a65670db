//! Lines of standard input, and whether there are more of them just now.
//!
//! ```text
//!   stdin ─▶ thread: read ─▶ a few chunks wait ─▶ next(): Line, Line, …, Pause (none waits), Line, …, End
//! ```
//! A thread reads, so that it is known without blocking whether input is there, and so that input gathers while a
//! batch is being synced. A line that lies in one chunk is not copied.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

use crate::failure::Failure;

/// Bytes of a line: any event that a store can hold fits, as `annals read` writes it.
pub(crate) const MAX_LINE_BYTES: usize = 64 << 20;

/// Bytes asked of standard input at once.
const CHUNK_BYTES: usize = 128 << 10;
/// Chunks that wait at most.
const CHUNKS: usize = 16;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A line: see [`Lines::line`].
    Line,
    /// No whole line is there just now.
    Pause,
    /// There are no more.
    End,
}

/// Where the line lies that was gone to.
#[derive(Debug, Clone)]
enum Line {
    /// None was.
    Nowhere,
    /// In this part of the chunk.
    Chunk(Range<usize>),
    /// It is all of what was begun.
    Begun,
}

/// The lines of an input.
pub(crate) struct Lines {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    /// Where in `chunk` the next line begins, or goes on.
    at: usize,
    /// The beginning of a line that ends in a later chunk.
    begun: Vec<u8>,
    line: Line,
    number: u64,
    bytes: u64,
    ended: bool,
}

impl Lines {
    /// The lines of `input`.
    pub(crate) fn of(mut input: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(CHUNKS);
        thread::Builder::new().name("annals-input".into()).spawn(move || {
            loop {
                let chunk = read_some(&mut input);
                let ends = !matches!(&chunk, Ok(chunk) if !chunk.is_empty());
                // Nobody receives: the command has ended, and so does this.
                if sender.send(chunk).is_err() || ends {
                    return;
                }
            }
        })?;
        Ok(Self {
            chunks,
            chunk: Vec::new(),
            at: 0,
            begun: Vec::new(),
            line: Line::Nowhere,
            number: 0,
            bytes: 0,
            ended: false,
        })
    }

    /// Goes to the next line. If none is there yet, waits for it or answers [`Step::Pause`].
    pub(crate) fn next(&mut self, wait: bool) -> Result<Step, Failure> {
        if let Line::Begun = std::mem::replace(&mut self.line, Line::Nowhere) {
            self.begun.clear();
        }
        loop {
            let rest = self.at..self.chunk.len();
            let feed = memchr::memchr(b'\n', &self.chunk[rest.clone()]);
            let piece = rest.start..feed.map_or(rest.end, |length| rest.start + length);
            if self.begun.len() + piece.len() > MAX_LINE_BYTES {
                return Err(Failure::LineTooLong { line: self.number + 1 });
            }
            self.at = piece.end + usize::from(feed.is_some());
            if feed.is_some() && self.begun.is_empty() {
                return Ok(self.found(Line::Chunk(piece)));
            }
            self.begun.extend_from_slice(&self.chunk[piece]);
            if feed.is_some() || (self.ended && !self.begun.is_empty()) {
                return Ok(self.found(Line::Begun));
            }
            if self.ended {
                return Ok(Step::End);
            }
            if !self.receive(wait)? {
                return Ok(Step::Pause);
            }
        }
    }

    fn found(&mut self, line: Line) -> Step {
        self.line = line;
        self.number += 1;
        Step::Line
    }

    /// The line gone to, without its line feed.
    pub(crate) fn line(&self) -> &[u8] {
        match &self.line {
            Line::Nowhere => &[],
            Line::Chunk(line) => &self.chunk[line.clone()],
            Line::Begun => &self.begun,
        }
    }

    /// Its number, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes that were received.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next chunk; false if none is there and it is not to wait.
    fn receive(&mut self, wait: bool) -> Result<bool, Failure> {
        let received = match self.chunks.try_recv() {
            Err(TryRecvError::Empty) if wait => self.chunks.recv().ok(),
            Err(TryRecvError::Empty) => return Ok(false),
            received => received.ok(),
        };
        self.chunk = received.unwrap_or(Ok(Vec::new())).map_err(Failure::Input)?;
        self.at = 0;
        self.bytes += self.chunk.len() as u64;
        self.ended = self.chunk.is_empty();
        Ok(true)
    }
}

/// As many bytes as one read gives; none at the end.
fn read_some(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match input.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => {
                chunk.truncate(read?);
                return Ok(chunk);
            }
        }
    }
}

/// Standard input, without a second buffer, and its size if it is a file.
#[cfg(unix)]
pub(crate) fn standard_input() -> io::Result<(Box<dyn Read + Send>, Option<u64>)> {
    use std::os::fd::AsFd as _;
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let metadata = file.metadata()?;
    let size = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), size))
}

/// Standard input, and its size if that is known.
#[cfg(not(unix))]
pub(crate) fn standard_input() -> io::Result<(Box<dyn Read + Send>, Option<u64>)> {
    Ok((Box::new(io::stdin()), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    /// An input that gives what it is sent, and blocks in between.
    struct Fed(Receiver<&'static [u8]>);

    impl Read for Fed {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let piece = self.0.recv().unwrap_or_default();
            out[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn all(input: &'static [u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::of(input).unwrap();
        let mut found = Vec::new();
        while lines.next(true).unwrap() == Step::Line {
            found.push(lines.line().to_vec());
            assert_eq!(lines.number(), found.len() as u64);
        }
        assert_eq!(lines.bytes(), input.len() as u64);
        found
    }

    #[test]
    fn lines_end_with_a_line_feed_or_the_input() {
        assert!(all(b"").is_empty());
        assert_eq!(all(b"\n"), [b""]);
        assert_eq!(all(b"a"), [b"a"]);
        assert_eq!(all(b"a\n\nb\r\n"), [&b"a"[..], b"", b"b\r"]);
    }

    #[test]
    fn lines_are_whole_over_chunks() {
        let line = |n: usize| format!("{n}").repeat(n % 50_000).into_bytes();
        let input: Vec<u8> =
            (0..100).map(|n| n * 1_999).flat_map(|n| [line(n), b"\n".to_vec()].concat()).collect();
        let found = all(input.leak());
        assert_eq!(found.len(), 100);
        for (n, found) in found.iter().enumerate() {
            assert!(*found == line(n * 1_999), "line {n}");
        }
    }

    #[test]
    fn a_line_is_there_as_soon_as_its_line_feed_is() {
        let (sender, receiver) = channel();
        let mut lines = Lines::of(Fed(receiver)).unwrap();
        assert_eq!(lines.next(false).unwrap(), Step::Pause);
        sender.send(b"one\ntw").unwrap();
        assert_eq!((lines.next(true).unwrap(), lines.line()), (Step::Line, &b"one"[..]));
        assert_eq!(lines.next(false).unwrap(), Step::Pause);
        sender.send(b"o\n").unwrap();
        assert_eq!((lines.next(true).unwrap(), lines.line()), (Step::Line, &b"two"[..]));
        drop(sender);
        assert_eq!(lines.next(true).unwrap(), Step::End);
        assert_eq!(lines.next(true).unwrap(), Step::End);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::of(io::repeat(b'x')).unwrap();
        assert!(matches!(lines.next(true), Err(Failure::LineTooLong { line: 1 })));
    }
}
