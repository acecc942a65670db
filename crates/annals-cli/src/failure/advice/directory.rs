//! Advice about directories and files: those of the demo and the bench, and errors of the system.

use std::io::{self, ErrorKind};

use super::super::Failure;

/// Returns what the user can do.
pub(super) fn advice(failure: &Failure) -> Option<String> {
    let advice = match failure {
        Failure::Output(source) => return io_advice(source),
        #[cfg(feature = "channels")]
        Failure::DemoDirectory { source, .. } => return io_advice(source),
        Failure::InputFile { source, .. } if source.kind() == ErrorKind::NotFound => {
            "check the path"
        }
        Failure::InputFile { source, .. } => return io_advice(source),
        Failure::InputIsDirectory { .. } => "give a file; a store is copied with `annals copy`",
        Failure::TemporaryFile(_) => {
            "give the input as a file, which needs no copy; or set TMPDIR to a directory with more room"
        }
        #[cfg(feature = "channels")]
        Failure::DemoDirectoryNotEmpty { .. } => {
            "give the demo another directory, or remove this one if an earlier demo left it"
        }
        Failure::BenchDirectoryNotEmpty { .. } => {
            "give a path where nothing exists yet, on the disk to measure; the bench never writes to an existing store"
        }
        Failure::BenchDisk { source, .. } => match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "free some room, measure less (--seconds, --events, --payload), or give a path on another disk"
            }
            _ => return io_advice(source),
        },
        Failure::BenchNotRemoved { .. } => {
            "look at the files that are left, and remove them yourself"
        }
        Failure::BenchInterrupted => "no files are left behind",
        _ => return None,
    };
    Some(advice.to_owned())
}

/// Returns what the user can do about an error of the system.
pub(super) fn io_advice(error: &io::Error) -> Option<String> {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => {
            "check the permissions of the path and its directories, or give another path"
        }
        ErrorKind::ReadOnlyFilesystem => "give a path on a writable file system",
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            "create the directory that contains the path first, or check the path's spelling"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some room and try again",
        _ => return None,
    };
    Some(advice.into())
}
