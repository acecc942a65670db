//! Replaces the tables of a part in a Markdown page: all lines between `<!-- tables: PART -->` and `<!-- end -->`.

use std::io::{Error, Result};
use std::path::Path;

const MARK: &str = "<!-- tables: ";
const END: &str = "<!-- end -->";

/// Puts `text` into the block of `part` in `page`, which must have it.
pub fn replace(page: &Path, part: &str, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(page)?;
    let mark = format!("{MARK}{part} -->\n");
    let wrong = |what: &str| Error::other(format!("{}: {} {what}", page.display(), mark.trim()));
    let (before, block) = old.split_once(&mark).ok_or_else(|| wrong("is missing"))?;
    let (tables, after) = block.split_once(END).ok_or_else(|| wrong("has no end"))?;
    if tables.contains(MARK) {
        return Err(wrong("has no end before the next block"));
    }
    std::fs::write(page, format!("{before}{mark}\n{}\n\n{END}{after}", text.trim()))
}

/// Returns the line that says when, where and how the tables below it were measured. `options` are the program's
/// arguments.
pub fn measured(machine: &str, command: &str, options: &[String]) -> String {
    let date = std::process::Command::new("date").args(["-u", "+%F"]).output();
    let date = date.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let mut command = command.to_owned();
    for option in options.chunks(2).filter(|option| !OF_FILES.contains(&option[0].as_str())) {
        option.iter().for_each(|word| command += &format!(" {word}"));
    }
    format!("`{command}`, {}, {machine}:\n\n", date.unwrap_or_default())
}

/// Options that say where files are, and not what is measured.
const OF_FILES: [&str; 5] = ["--dir", "--out", "--page", "--annals", "--umadb"];
