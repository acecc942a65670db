//! Recognizes a file that was moved or replaced: whether an open file is still the one that has its name. The writer
//! asks in `writer/state`, a follower in `follower/watch`, and the lock when it is taken.

/// The identity of a file, under whatever name: two open files with the same id are the same file.
///
/// ```
/// use annals::{FileSystem, RealFileSystem};
///
/// # let directory = tempfile::tempdir()?;
/// let directory = RealFileSystem.open_directory(directory.path())?;
/// let file = directory.create("old-name")?;
/// directory.rename("old-name", "new-name")?;
/// assert_eq!(directory.file_id("new-name")?, file.id()?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device that contains the file.
    pub device: u64,
    /// The file's number on that device.
    pub number: u64,
}

/// The file that a directory has under the name of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// The open file; or the file system does not identify files.
    Same,
    /// Another file.
    Other,
    /// Nothing: the file was moved or removed.
    Nothing,
}

/// Compares the id of an open file with the id of the file that has its name now.
pub(crate) fn compare(open: Option<FileId>, named: Option<FileId>) -> Named {
    match named {
        _ if named == open => Named::Same,
        None => Named::Nothing,
        Some(_) => Named::Other,
    }
}
