//! The rules for names of series, which a snapshot store may use as file names or keys.

use std::io;

/// The longest name of a series, in bytes.
const MAX_BYTES: usize = 200;

/// Checks the name of a series. Each method of an implementation of [`SnapshotStore`](crate::SnapshotStore) calls this
/// first.
///
/// A name has 1 to 200 bytes. It has no control characters and none of `/`, `\` and `:`, and does not end with a dot or
/// a space. So it is one file name on every system, and never `.` or `..`.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) when `series` is not such a name.
///
/// ```
/// assert!(annals::backend::check_series("Seat-12A--51c1e0").is_ok());
/// assert!(annals::backend::check_series("..").is_err());
/// ```
pub fn check_series(series: &str) -> io::Result<()> {
    let odd = |letter: char| letter.is_control() || matches!(letter, '/' | '\\' | ':');
    let problem = if series.is_empty() {
        "is empty".to_owned()
    } else if series.len() > MAX_BYTES {
        format!("has {} bytes; the limit is {MAX_BYTES}", series.len())
    } else if let Some(letter) = series.chars().find(|&letter| odd(letter)) {
        format!("has the character {letter:?}, which is not allowed in file names")
    } else if series.ends_with(['.', ' ']) {
        "ends with a dot or a space".to_owned()
    } else {
        return Ok(());
    };
    let shown: String = series.chars().take(40).collect();
    let message = format!("the name of the series {shown:?} {problem}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_one_file_name_on_every_system() {
        for good in ["a", "seat-2", "Seat 12A", "..a", "a.b", "名前", &"x".repeat(MAX_BYTES)] {
            check_series(good).unwrap();
        }
        let long = "x".repeat(MAX_BYTES + 1);
        for bad in [
            "", ".", "..", "...", ".. ", "a ", "a.", "/", "/a", "a/", "a/b", "../a", "a\\b",
            "..\\a", "C:a", "a\0", "a\nb", "\u{85}", &long,
        ] {
            let error = check_series(bad).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad:?}");
        }
    }
}
