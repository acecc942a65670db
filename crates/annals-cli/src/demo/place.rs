//! Where the demo writes: a directory of its own, and never where something is already.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Makes the directory that was asked for, or the first of `annals-demo`, `annals-demo-2`, … that is not there.
pub(super) fn make(asked: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(directory) = asked {
        return if made(directory)? || is_empty(directory)? {
            Ok(directory.to_owned())
        } else {
            Err(Failure::DemoPlaceTaken { directory: directory.to_owned() })
        };
    }
    let mut directory = PathBuf::from("annals-demo");
    for number in 2_u64.. {
        if made(&directory)? {
            break;
        }
        directory = format!("annals-demo-{number}").into();
    }
    Ok(directory)
}

/// Makes a directory; false if something is there.
fn made(directory: &Path) -> Result<bool, Failure> {
    match fs::create_dir(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(Failure::DemoPlace { directory: directory.to_owned(), source }),
    }
}

/// Whether it is a directory with nothing in it.
fn is_empty(path: &Path) -> Result<bool, Failure> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        Err(source) => Err(Failure::DemoPlace { directory: path.to_owned(), source }),
    }
}
