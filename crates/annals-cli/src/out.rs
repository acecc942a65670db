//! Standard output: locked and buffered, in the requested format.

use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, StdoutLock, Write};

use serde_json::Value;

use crate::args::Format;
use crate::failure::Failure;

const BUFFER_BYTES: usize = 64 << 10;

/// Writes results to standard output.
pub(crate) struct Out {
    stream: BufWriter<StdoutLock<'static>>,
    format: Format,
    /// Whether a closed pipe counts as success.
    ignores_closed_pipe: bool,
}

impl Out {
    /// Returns standard output in this format; by default a table on a terminal and JSON lines elsewhere.
    pub(crate) fn new(format: Option<Format>) -> Self {
        let out = io::stdout().lock();
        let suits = if out.is_terminal() { Format::Table } else { Format::Jsonl };
        Self {
            stream: BufWriter::with_capacity(BUFFER_BYTES, out),
            format: format.unwrap_or(suits),
            ignores_closed_pipe: false,
        }
    }

    /// Returns standard output for a command whose work is more than its output: if the reader closes the pipe, the
    /// command continues.
    pub(crate) fn for_reports(format: Option<Format>) -> Self {
        Self { ignores_closed_pipe: true, ..Self::new(format) }
    }

    /// Returns the format of results.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Calls `write` with the stream.
    pub(crate) fn with(
        &mut self,
        write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let written = write(&mut self.stream);
        self.checked(written)
    }

    /// Writes a line with a JSON object of these fields, in this order.
    pub(crate) fn object<'f>(
        &mut self,
        fields: impl IntoIterator<Item = (&'f str, Value)>,
    ) -> Result<(), Failure> {
        self.with(|out| {
            let mut before = '{';
            for (name, value) in fields {
                write!(out, "{before}{}:{value}", Value::from(name))?;
                before = ',';
            }
            out.write_all(b"}\n")
        })
    }

    /// Writes a line of text.
    pub(crate) fn text(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), Failure> {
        self.with(|out| writeln!(out, "{line}"))
    }

    /// Flushes the buffer. The caller must flush at the end, too.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.stream.flush();
        self.checked(flushed)
    }

    fn checked(&self, written: io::Result<()>) -> Result<(), Failure> {
        match written {
            Err(error) if self.ignores_closed_pipe && error.kind() == ErrorKind::BrokenPipe => {
                Ok(())
            }
            written => written.map_err(Failure::Output),
        }
    }
}

/// The width of a terminal that does not tell its size.
const USUAL_WIDTH: usize = 80;

/// Returns the number of columns of the terminal; `None` if standard output is not a terminal.
pub(crate) fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let size = terminal_size::terminal_size_of(io::stdout());
    Some(size.map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0)))
}
