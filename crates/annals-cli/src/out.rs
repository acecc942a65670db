//! Standard output: locked, buffered, in the format that was asked for.

use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, StdoutLock, Write};

use indicatif::HumanCount;
use serde_json::Value;

use crate::args::Format;
use crate::failure::Failure;

const BUFFER_BYTES: usize = 64 << 10;

/// Where results go.
pub(crate) struct Out {
    stream: BufWriter<StdoutLock<'static>>,
    format: Format,
    /// Whether it does not matter that nobody reads any more.
    may_be_deaf: bool,
}

impl Out {
    /// Standard output, in this format or the one that suits it.
    pub(crate) fn new(format: Option<Format>) -> Self {
        let out = io::stdout().lock();
        let suits = if out.is_terminal() { Format::Table } else { Format::Jsonl };
        Self {
            stream: BufWriter::with_capacity(BUFFER_BYTES, out),
            format: format.unwrap_or(suits),
            may_be_deaf: false,
        }
    }

    /// For commands whose work is not their output: when nobody reads that any more, they go on.
    pub(crate) fn for_reports(format: Option<Format>) -> Self {
        Self { may_be_deaf: true, ..Self::new(format) }
    }

    /// The format that results have.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Writes with `write`.
    pub(crate) fn with(
        &mut self,
        write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let written = write(&mut self.stream);
        self.heard(written)
    }

    /// Writes a line that is a JSON object of these fields, in this order.
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

    /// Gives what was written to whoever reads. To be called at the end, too.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.stream.flush();
        self.heard(flushed)
    }

    fn heard(&self, written: io::Result<()>) -> Result<(), Failure> {
        match written {
            Err(error) if self.may_be_deaf && error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(Failure::Output),
        }
    }
}

/// A number of things, for people: `1 event`, `2,000 events`.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// Columns of the terminal that standard output is; `None` if it is none.
pub(crate) fn terminal_width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0))
}
