//! Reads rows of cells, and knows where each began.
//!
//! ```text
//!   row  = cell *(delimiter cell) (CRLF / LF / end of file)
//!   cell = text without quotes, delimiters and line ends / '"' *(text / '""') '"'
//! ```
//! Empty lines between rows are skipped. A byte order mark of UTF-8 at the beginning is skipped.

use std::io::BufRead;

use super::error::{CsvError, CsvReason, MAX_ROW_BYTES};

/// Where a cell begins: its line from 1, and its column in characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: usize,
}

impl Place {
    /// Returns the error for this reason, here.
    pub(crate) fn error(self, reason: CsvReason) -> CsvError {
        CsvError { line: self.line, column: self.column, reason }
    }
}

/// Rows of an input.
pub(crate) struct CsvReader<R> {
    input: R,
    delimiter: u8,
    /// Where the next byte is.
    next: Place,
    bytes: u64,
    /// The text of the cells of the current row, and where each ends.
    text: Vec<u8>,
    cells: Vec<(usize, Place)>,
}

impl<R: BufRead> CsvReader<R> {
    /// Reads from `input`, from its beginning.
    pub(crate) fn new(input: R, delimiter: u8) -> Self {
        let next = Place { line: 1, column: 1 };
        Self { input, delimiter, next, bytes: 0, text: Vec::new(), cells: Vec::new() }
    }

    /// Returns the number of bytes that were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the next row. Returns `None` at the end of the input.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, CsvError> {
        self.text.clear();
        self.cells.clear();
        if self.bytes == 0 {
            self.skip_byte_order_mark()?;
        }
        while self.skip_line_end()? {}
        let start = self.next;
        if self.peek()?.is_none() {
            return Ok(None);
        }
        loop {
            let place = self.next;
            if self.peek()? == Some(b'"') {
                self.quoted_cell(place)?;
            } else {
                self.plain_cell(start)?;
            }
            self.check_utf8(place)?;
            self.cells.push((self.text.len(), place));
            if self.peek()? == Some(self.delimiter) {
                self.advance(self.delimiter);
                continue;
            }
            if !self.skip_line_end()? && self.peek()?.is_some() {
                return Err(self.next.error(CsvReason::AfterQuote));
            }
            return Ok(Some(Row { text: &self.text, cells: &self.cells }));
        }
    }

    fn plain_cell(&mut self, row: Place) -> Result<(), CsvError> {
        while let Some(byte) = self.peek()? {
            match byte {
                b'"' => return Err(self.next.error(CsvReason::InnerQuote)),
                b'\n' | b'\r' => break,
                byte if byte == self.delimiter => break,
                byte => self.take(byte, row)?,
            }
        }
        Ok(())
    }

    fn quoted_cell(&mut self, start: Place) -> Result<(), CsvError> {
        self.advance(b'"');
        while let Some(byte) = self.peek()? {
            if byte == b'"' {
                self.advance(byte);
                if self.peek()? != Some(b'"') {
                    return Ok(());
                }
            }
            self.take(byte, start)?;
        }
        Err(start.error(CsvReason::OpenQuote))
    }

    /// Adds the next byte to the text.
    fn take(&mut self, byte: u8, start: Place) -> Result<(), CsvError> {
        if self.text.len() >= MAX_ROW_BYTES {
            return Err(start.error(CsvReason::TooLong));
        }
        self.text.push(byte);
        self.advance(byte);
        Ok(())
    }

    /// Checks the text of the cell that was just read and begins here.
    fn check_utf8(&self, start: Place) -> Result<(), CsvError> {
        let from = self.cells.last().map_or(0, |(end, _)| *end);
        let Err(problem) = std::str::from_utf8(&self.text[from..]) else { return Ok(()) };
        let (before, rest) = self.text[from..].split_at(problem.valid_up_to());
        let mut place = start;
        for &byte in before {
            place.pass(byte);
        }
        let byte = rest.first().copied().unwrap_or_default();
        Err(place.error(CsvReason::NotUtf8 { byte }))
    }

    /// Skips a line end. Returns whether there was one.
    fn skip_line_end(&mut self) -> Result<bool, CsvError> {
        let place = self.next;
        if self.peek()? == Some(b'\r') {
            self.advance(b'\r');
            if self.peek()? != Some(b'\n') {
                return Err(place.error(CsvReason::CarriageReturn));
            }
        }
        let is_end = self.peek()? == Some(b'\n');
        if is_end {
            self.advance(b'\n');
        }
        Ok(is_end)
    }

    fn skip_byte_order_mark(&mut self) -> Result<(), CsvError> {
        let place = self.next;
        let error = |error| place.error(CsvReason::Read(error));
        // The buffer has the first bytes at once, or the input has fewer.
        let start = self.input.fill_buf().map_err(error)?;
        if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") {
            return Err(place.error(CsvReason::Utf16));
        }
        if start.starts_with(b"\xEF\xBB\xBF") {
            self.input.consume(3);
            self.bytes += 3;
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<u8>, CsvError> {
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.next.error(CsvReason::Read(error))),
            }
        }
    }

    /// Moves behind the byte that was peeked.
    fn advance(&mut self, byte: u8) {
        self.input.consume(1);
        self.bytes += 1;
        self.next.pass(byte);
    }
}

impl Place {
    fn pass(&mut self, byte: u8) {
        if byte == b'\n' {
            *self = Self { line: self.line + 1, column: 1 };
        } else if byte & 0xC0 != 0x80 {
            self.column += 1;
        }
    }
}

/// The cells of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'r> {
    text: &'r [u8],
    cells: &'r [(usize, Place)],
}

impl<'r> Row<'r> {
    /// Returns the number of cells.
    pub(crate) fn len(self) -> usize {
        self.cells.len()
    }

    /// Returns the text of a cell; empty if the row has fewer.
    pub(crate) fn cell(self, at: usize) -> &'r str {
        let Some(&(end, _)) = self.cells.get(at) else { return "" };
        let start = at.checked_sub(1).map_or(0, |before| self.cells[before].0);
        // Each cell was checked when it was read.
        std::str::from_utf8(&self.text[start..end]).unwrap_or_default()
    }

    /// Returns all cells.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'r str> {
        (0..self.len()).map(move |at| self.cell(at))
    }

    /// Returns where a cell begins; the first one if the row has fewer.
    pub(crate) fn place(self, at: usize) -> Place {
        let cell = self.cells.get(at).or_else(|| self.cells.first());
        cell.map_or(Place { line: 1, column: 1 }, |(_, place)| *place)
    }

    /// Returns the number of bytes of all cells.
    pub(crate) fn size(self) -> usize {
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::writer::write_row;
    use proptest::prelude::*;

    fn rows(input: &[u8]) -> Result<Vec<Vec<String>>, CsvError> {
        let mut reader = CsvReader::new(input, b',');
        let mut rows = Vec::new();
        while let Some(row) = reader.next()? {
            rows.push(row.iter().map(str::to_owned).collect());
        }
        assert_eq!(reader.bytes(), input.len() as u64);
        Ok(rows)
    }

    #[test]
    fn rows_are_read_as_rfc_4180_says() {
        let input = "\u{feff}a,b,c\r\n1,,\"x,\"\"y\"\"\nz\"\n\n\"\",ä,\n";
        let expected = [vec!["a", "b", "c"], vec!["1", "", "x,\"y\"\nz"], vec!["", "ä", ""]];
        assert_eq!(rows(input.as_bytes()).unwrap(), expected);
        assert_eq!(rows(b"").unwrap(), Vec::<Vec<String>>::new());
        assert_eq!(rows(b"a").unwrap(), [["a"]]);
    }

    #[test]
    fn what_is_broken_is_found_where_it_begins() {
        for (input, expected) in [
            (&b"a,\"b\n"[..], (1, 3, "not closed")),
            (b"a\nx,\"b\" c\n", (2, 6, "after the closing quote")),
            (b"a,b\"c\n", (1, 4, "inside a cell")),
            ("ä,b\"c\n".as_bytes(), (1, 4, "inside a cell")),
            (b"a\rb\n", (1, 2, "carriage return")),
            (b"a,b\xFF\n", (1, 4, "0xff is not valid UTF-8")),
            (b"a,\"b\nc\xC3\"\n", (2, 2, "0xc3 is not valid UTF-8")),
            (b"\xFF\xFEa\0", (1, 1, "UTF-16")),
        ] {
            let error = rows(input).unwrap_err();
            assert_eq!((error.line, error.column), (expected.0, expected.1), "{error}");
            assert!(error.to_string().contains(expected.2), "{error}");
            assert!(error.reason.advice().is_some(), "{error}");
        }
    }

    #[test]
    fn an_endless_cell_is_refused() {
        use std::io::Read as _;
        for (start, column) in [(&b"a,"[..], 1), (b"a,\"", 3)] {
            let input = std::io::BufReader::new(start.chain(std::io::repeat(b'x')));
            let mut reader = CsvReader::new(input, b',');
            let error = reader.next().map(|_| ()).unwrap_err();
            assert_eq!((error.line, error.column), (1, column));
            assert!(matches!(error.reason, CsvReason::TooLong));
        }
    }

    proptest! {
        #[test]
        fn written_rows_are_read_again(table in prop::collection::vec(prop::collection::vec("[a,\"\r\n ä]{0,5}", 2..5), 0..5)) {
            let mut text = Vec::new();
            for row in &table {
                write_row(row.iter().map(String::as_str), &mut text).unwrap();
            }
            prop_assert_eq!(rows(&text).unwrap(), table);
        }

        #[test]
        fn any_bytes_are_rows_or_an_error(input in prop::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), any::<u8>()], 0..40)) {
            let _ = rows(&input);
        }
    }
}
