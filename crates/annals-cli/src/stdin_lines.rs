//! The lines of standard input, and whether more lines are available at the moment.
//!
//! ```text
//!   stdin ─▶ thread: read ─▶ queue of chunks ─▶ next(): Line, Line, …, Pause (queue is empty), Line, …, End
//! ```
//! A thread reads standard input, so that the caller can detect without blocking whether input is available, and so
//! that input accumulates while a batch is synced. A line within one chunk is not copied.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use crate::failure::Failure;

/// The maximum number of bytes of a line. Every event that a store can hold fits, as `annals read` prints it.
const MAX_LINE_BYTES: usize = 64 << 20;

/// The maximum number of bytes per read.
const CHUNK_BYTES: usize = 128 << 10;
/// The maximum number of chunks in the queue.
const QUEUED_CHUNKS: usize = 16;

/// The result of [`Lines::next`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The input has a line; [`Lines::line`] returns it.
    Line,
    /// No whole line is available at the moment.
    Pause,
    /// The input has ended.
    End,
}

/// The location of the current line.
#[derive(Debug, Clone)]
enum Line {
    /// No line is current.
    None,
    /// This range of the chunk.
    Chunk(Range<usize>),
    /// All of `partial`.
    Partial,
}

/// What the queue holds.
enum Chunk {
    /// The result of a read: bytes, or none at the end of the input.
    Read(io::Result<Vec<u8>>),
    /// A signal came.
    Wake,
}

/// The lines of an input.
pub(crate) struct Lines {
    chunks: Receiver<Chunk>,
    /// For [`waker`](Self::waker).
    sender: SyncSender<Chunk>,
    chunk: Vec<u8>,
    /// The index in `chunk` at which the next line begins or continues.
    at: usize,
    /// The beginning of a line that ends in a later chunk.
    partial: Vec<u8>,
    line: Line,
    number: u64,
    bytes: u64,
    ended: bool,
}

impl Lines {
    /// Starts to read `input`, on a thread.
    pub(crate) fn of(mut input: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(QUEUED_CHUNKS);
        let reader = sender.clone();
        thread::Builder::new().name("annals-input".into()).spawn(move || {
            loop {
                let chunk = read_some(&mut input);
                let ends = !matches!(&chunk, Ok(chunk) if !chunk.is_empty());
                // If the receiver is gone, the command has ended.
                if reader.send(Chunk::Read(chunk)).is_err() || ends {
                    return;
                }
            }
        })?;
        Ok(Self {
            chunks,
            sender,
            chunk: Vec::new(),
            at: 0,
            partial: Vec::new(),
            line: Line::None,
            number: 0,
            bytes: 0,
            ended: false,
        })
    }

    /// Returns a function that ends the wait for input: [`next`](Self::next) then fails with [`Failure::Interrupted`].
    pub(crate) fn waker(&self) -> impl Fn() + Send + 'static {
        let sender = self.sender.clone();
        // If the queue is full, the command is not waiting for input.
        move || drop(sender.try_send(Chunk::Wake))
    }

    /// Moves to the next line. If no line is available yet, waits for it, or returns [`Step::Pause`] if `wait` is
    /// false.
    pub(crate) fn next(&mut self, wait: bool) -> Result<Step, Failure> {
        if let Line::Partial = std::mem::replace(&mut self.line, Line::None) {
            self.partial.clear();
        }
        loop {
            let rest = self.at..self.chunk.len();
            let feed = memchr::memchr(b'\n', &self.chunk[rest.clone()]);
            let piece = rest.start..feed.map_or(rest.end, |length| rest.start + length);
            if self.partial.len() + piece.len() > MAX_LINE_BYTES {
                return Err(Failure::LineTooLong {
                    line: self.number + 1,
                    limit_bytes: MAX_LINE_BYTES,
                });
            }
            self.at = piece.end + usize::from(feed.is_some());
            if feed.is_some() && self.partial.is_empty() {
                return Ok(self.set_line(Line::Chunk(piece)));
            }
            self.partial.extend_from_slice(&self.chunk[piece]);
            if feed.is_some() || (self.ended && !self.partial.is_empty()) {
                return Ok(self.set_line(Line::Partial));
            }
            if self.ended {
                return Ok(Step::End);
            }
            if !self.receive(wait)? {
                return Ok(Step::Pause);
            }
        }
    }

    fn set_line(&mut self, line: Line) -> Step {
        self.line = line;
        self.number += 1;
        Step::Line
    }

    /// Returns the current line, without its line feed.
    pub(crate) fn line(&self) -> &[u8] {
        match &self.line {
            Line::None => &[],
            Line::Chunk(line) => &self.chunk[line.clone()],
            Line::Partial => &self.partial,
        }
    }

    /// Returns the number of the current line, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the number of bytes received so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next chunk from the queue. Returns false if the queue is empty and `wait` is false.
    fn receive(&mut self, wait: bool) -> Result<bool, Failure> {
        let received = match self.chunks.try_recv() {
            Err(TryRecvError::Empty) if wait => self.chunks.recv().ok(),
            Err(TryRecvError::Empty) => return Ok(false),
            received => received.ok(),
        };
        self.chunk = match received {
            Some(Chunk::Read(read)) => read.map_err(Failure::Input)?,
            Some(Chunk::Wake) => return Err(Failure::Interrupted),
            None => Vec::new(),
        };
        self.at = 0;
        self.bytes += self.chunk.len() as u64;
        self.ended = self.chunk.is_empty();
        Ok(true)
    }
}

/// Returns the bytes of one read; none at the end of the input.
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

/// Returns standard input, unbuffered, and its size if it is a file.
#[cfg(unix)]
pub(crate) fn standard_input() -> io::Result<(Box<dyn Read + Send>, Option<u64>)> {
    use std::os::fd::AsFd as _;
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let metadata = file.metadata()?;
    let size = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), size))
}

/// Returns standard input, and its size if that is known.
#[cfg(not(unix))]
pub(crate) fn standard_input() -> io::Result<(Box<dyn Read + Send>, Option<u64>)> {
    Ok((Box::new(io::stdin()), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    /// An input that returns the pieces it is sent, and blocks in between.
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
    fn a_line_is_available_as_soon_as_its_line_feed_is() {
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
    fn a_waiting_reader_can_be_woken() {
        let (_sender, receiver) = channel();
        let mut lines = Lines::of(Fed(receiver)).unwrap();
        lines.waker()();
        assert!(matches!(lines.next(true), Err(Failure::Interrupted)));
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::of(io::repeat(b'x')).unwrap();
        assert!(matches!(lines.next(true), Err(Failure::LineTooLong { line: 1, .. })));
    }
}
