//! Writes rows of cells.

use std::io::{self, Write};

/// Writes a row, with a line feed at its end. A row of one empty cell is written with quotes, because a reader skips
/// empty lines.
pub(crate) fn write_row<'c>(
    cells: impl IntoIterator<Item = &'c str>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut count = 0;
    let mut is_empty = true;
    for cell in cells {
        if count > 0 {
            out.write_all(b",")?;
        }
        count += 1;
        is_empty &= cell.is_empty();
        write_cell(cell, out)?;
    }
    if count == 1 && is_empty {
        out.write_all(b"\"\"")?;
    }
    out.write_all(b"\n")
}

fn write_cell(cell: &str, out: &mut impl Write) -> io::Result<()> {
    if memchr::memchr3(b'"', b',', b'\n', cell.as_bytes()).is_none() && !cell.contains('\r') {
        return out.write_all(cell.as_bytes());
    }
    out.write_all(b"\"")?;
    for (at, part) in cell.split('"').enumerate() {
        if at > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(part.as_bytes())?;
    }
    out.write_all(b"\"")
}
