//! Recognizes a file: whether an open file is still the one that has a name.

/// The identity of a file, under whatever name: two open files with the same id are the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device that contains the file.
    pub device: u64,
    /// The file's number on that device.
    pub number: u64,
}
