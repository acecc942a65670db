//! Makes the names of new files and directories durable.

use std::io::{self, ErrorKind};
use std::path::Path;

use annals::FileSystem;

/// Makes the name of a file or a directory durable: syncs the directory that it is in.
pub(crate) fn sync_name(files: &dyn FileSystem, path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    files.open_directory(above.unwrap_or(Path::new(".")))?.sync()
}

/// Makes a name durable as [`sync_name`] does, where the file system and the rights of this user allow it. Meant for a
/// name that an earlier process may have created, in a directory that is not ours.
pub(crate) fn sync_name_if_possible(files: &dyn FileSystem, path: &Path) -> io::Result<()> {
    match sync_name(files, path) {
        Err(error) if is_forgiven(error.kind()) => Ok(()),
        synced => synced,
    }
}

/// Returns whether a directory that is not ours may fail to sync with this error.
pub(crate) fn is_forgiven(error: ErrorKind) -> bool {
    // This user may not read the directory, or its file system takes no writes, so nothing in it can be lost.
    let untouched =
        [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
    // Some file systems cannot sync a directory, such as squashfs and those of /proc and of automatic mounts.
    let unable = [ErrorKind::InvalidInput, ErrorKind::Unsupported];
    untouched.contains(&error) || unable.contains(&error)
}
