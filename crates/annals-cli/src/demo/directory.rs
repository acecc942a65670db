//! Creates the demo's own directory. The demo never writes to a directory with files.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Creates the requested directory, or the first of `annals-demo`, `annals-demo-2`, … that does not exist. A requested
/// directory may exist if it is empty.
pub(super) fn create(requested: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(directory) = requested {
        return if is_created(directory)? || is_empty(directory)? {
            Ok(directory.to_owned())
        } else {
            Err(Failure::DemoDirectoryNotEmpty { directory: directory.to_owned() })
        };
    }
    let mut directory = PathBuf::from("annals-demo");
    for number in 2_u64.. {
        if is_created(&directory)? {
            break;
        }
        directory = format!("annals-demo-{number}").into();
    }
    Ok(directory)
}

/// Creates a directory. Returns false if the path exists.
fn is_created(directory: &Path) -> Result<bool, Failure> {
    match fs::create_dir(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(Failure::DemoDirectory { directory: directory.to_owned(), source }),
    }
}

/// Returns whether the path is an empty directory.
fn is_empty(path: &Path) -> Result<bool, Failure> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        Err(source) => Err(Failure::DemoDirectory { directory: path.to_owned(), source }),
    }
}
