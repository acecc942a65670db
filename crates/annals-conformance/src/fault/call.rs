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
