//! The kinds of calls that change a file system.

#[cfg(doc)]
use annals::{FileSystem, StoreDirectory, StoreFile};

/// A call that changes the file system. It can be made to fail, to stop, or to be the last before a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// [`StoreDirectory::create`].
    Create,
    /// [`FileSystem::create_directory`] and [`StoreDirectory::create_directory`].
    CreateDirectory,
    /// [`StoreDirectory::rename`].
    Rename,
    /// [`StoreDirectory::remove`].
    Remove,
    /// [`StoreDirectory::sync`].
    SyncDirectory,
    /// [`StoreFile::write_at`].
    Write,
    /// [`StoreFile::allocate`].
    Allocate,
    /// [`StoreFile::set_size`].
    SetSize,
    /// [`StoreFile::start_sync`].
    StartSync,
    /// [`StoreFile::sync`].
    Sync,
}

impl Call {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Create,
        Self::CreateDirectory,
        Self::Rename,
        Self::Remove,
        Self::SyncDirectory,
        Self::Write,
        Self::Allocate,
        Self::SetSize,
        Self::StartSync,
        Self::Sync,
    ];
}

/// The amount that was read of a disk's files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reads {
    /// The number of calls of [`StoreFile::read_at`].
    pub calls: u64,
    /// The bytes that these calls returned.
    pub bytes: u64,
    /// The number of calls of [`StoreFile::file`], one for each mapping.
    pub files: u64,
}
