//! Makes the names of new files and directories durable.

use std::io;
use std::path::Path;

use annals::FileSystem;

/// Makes the name of a file or a directory durable: syncs the directory that it is in.
pub(crate) fn sync_name(files: &dyn FileSystem, path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    files.open_directory(above.unwrap_or(Path::new(".")))?.sync()
}
