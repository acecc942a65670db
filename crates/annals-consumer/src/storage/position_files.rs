//! Positions in the files of a directory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use annals::backend::check_series;
use uuid::Uuid;

use super::checkpoint_store::CheckpointStore;

const EXTENSION: &str = ".position";

/// The extension of a position that is being written.
const UNFINISHED: &str = ".new";

/// The extension of the state logs of a group that is being deleted.
pub(crate) const DELETED: &str = ".deleted";

/// The most bytes of a file that are read. A position has less than 1 KiB.
const MOST_BYTES: u64 = 64 << 10;

/// Positions in the files of a directory, which is created when the first position is saved. Its parent must exist.
///
/// Each position is written to a file with another name, synced and renamed, and the directory is synced. So after a
/// crash or a loss of power, the old or the new position is there.
///
/// ```
/// use annals_consumer::{CheckpointStore, FileCheckpoints};
/// let directory = tempfile::tempdir()?;
/// let checkpoints = FileCheckpoints::at(directory.path().join("consumers"));
/// checkpoints.save("mailer", b"bytes")?;
/// assert!(checkpoints.path().join("mailer.position").exists());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FileCheckpoints {
    path: PathBuf,
}

impl FileCheckpoints {
    /// Returns the positions in the directory at `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: &str) -> PathBuf {
        position_file(&self.path, name)
    }
}

impl CheckpointStore for FileCheckpoints {
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        check_series(name)?;
        let file = match File::open(self.file(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn save(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        check_series(name)?;
        create_directory(&self.path)?;
        let unfinished = self.path.join(left_behind(name, UNFINISHED));
        let write = || {
            let mut file = File::create_new(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, self.file(name))?;
            sync_directory(&self.path)
        };
        let written = write();
        if written.is_err() {
            // If it was not created, nothing has to be removed.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_series(name)?;
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync_directory(&self.path)),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        names_with(&self.path, EXTENSION)
    }
}

/// Returns the path of the position of a name in a directory.
pub(crate) fn position_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}{EXTENSION}"))
}

/// Returns the names in a directory that have this extension, without it, in order. A missing directory has none.
pub(crate) fn names_with(directory: &Path, extension: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names
            .extend(name.to_str().and_then(|name| name.strip_suffix(extension)).map(str::to_owned));
    }
    names.retain(|name| check_series(name).is_ok());
    names.sort_unstable();
    Ok(names)
}

/// Creates a directory if it does not exist. Its parent must exist.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        created => {
            created?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_directory(parent.unwrap_or(Path::new(".")))
        }
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    // Only Unix can sync a directory. Other systems need nothing here.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Returns a name for a file or directory that exists only for a moment, unless the process ends meanwhile.
pub(crate) fn left_behind(name: &str, extension: &str) -> String {
    format!("{name}.{}{extension}", Uuid::new_v4().simple())
}

/// Removes what processes left behind when they ended while they wrote the position of `name` or deleted the group
/// `name`. The caller holds its lock.
pub(crate) fn remove_left_behind(directory: &Path, name: &str) {
    for extension in [UNFINISHED, DELETED] {
        for left in names_with(directory, extension).unwrap_or_default() {
            let is_own = left.rsplit_once('.').is_some_and(|(of, id)| of == name && id.len() == 32);
            let path = directory.join(format!("{left}{extension}"));
            let remove = |path| {
                if extension == DELETED { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            };
            if is_own && let Err(error) = remove(&path) {
                tracing::debug!(%error, name, "cannot remove what was left behind");
            }
        }
    }
}
