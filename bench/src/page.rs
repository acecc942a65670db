//! Replaces the tables of a part in a Markdown page: all lines between `<!-- tables: PART -->` and `<!-- end -->`.

use std::io::{Error, Result};
use std::path::Path;

const END: &str = "<!-- end -->";

/// Puts `text` into the block of `part` in `page`. Returns false if the page has no such block.
pub fn replace(page: &Path, part: &str, text: &str) -> Result<bool> {
    let old = std::fs::read_to_string(page)?;
    let mark = format!("<!-- tables: {part} -->\n");
    let Some((before, block)) = old.split_once(&mark) else { return Ok(false) };
    let Some((_, after)) = block.split_once(END) else {
        let problem = format!("{}: the block of {part:?} has no line {END}", page.display());
        return Err(Error::other(problem));
    };
    std::fs::write(page, format!("{before}{mark}\n{}\n\n{END}{after}", text.trim()))?;
    Ok(true)
}

/// Returns the line that says when, where and how the tables below it were measured.
pub fn measured(machine: &str, command: &str) -> String {
    let date = std::process::Command::new("date").args(["-u", "+%F"]).output();
    let date = date.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!("`{command}`, {}, {machine}:\n\n", date.unwrap_or_default())
}
