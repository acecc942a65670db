//! The input of an import: a file that can be read twice.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A file, which is read from the position at which it was given.
pub(crate) struct Input {
    file: File,
    start: u64,
    /// The number of bytes from the start to the end.
    pub(crate) bytes: u64,
}

impl Input {
    /// Opens a file, or standard input. What cannot be read twice is copied to a temporary file.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let failed = |source| match path {
            Some(path) => Failure::InputFile { path: path.to_owned(), source },
            None => Failure::Input(source),
        };
        let (mut reader, file) = match path {
            Some(path) => File::open(path).and_then(streams),
            None => standard_input_streams(),
        }
        .map_err(failed)?;
        if let Some(file) = file {
            let metadata = file.metadata().map_err(failed)?;
            if metadata.is_dir() {
                return Err(Failure::InputIsDirectory { path: path.map(PathBuf::from) });
            }
            if metadata.is_file() {
                let start = (&file).stream_position().map_err(failed)?;
                return Ok(Self { file, start, bytes: metadata.len().saturating_sub(start) });
            }
        }
        let mut copy = tempfile::tempfile().map_err(Failure::TemporaryFile)?;
        let bytes = copy_all(&mut reader, &mut copy, failed)?;
        Ok(Self { file: copy, start: 0, bytes })
    }

    /// Returns the file, at its start. Only one of the returned files can be read at a time.
    pub(crate) fn reader(&self) -> Result<File, Failure> {
        let mut file = self.file.try_clone().map_err(Failure::Input)?;
        file.seek(io::SeekFrom::Start(self.start)).map_err(Failure::Input)?;
        Ok(file)
    }
}

/// A stream to read from, and the file that it is, if it is known to be one.
type Streams = (Box<dyn io::Read + Send>, Option<File>);

fn streams(file: File) -> io::Result<Streams> {
    Ok((Box::new(file.try_clone()?), Some(file)))
}

#[cfg(unix)]
fn standard_input_streams() -> io::Result<Streams> {
    use std::os::fd::AsFd as _;
    streams(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Returns no file, so standard input is copied.
#[cfg(not(unix))]
fn standard_input_streams() -> io::Result<Streams> {
    Ok((Box::new(io::stdin()), None))
}

/// Copies the rest of a stream, and tells apart which of the two failed.
fn copy_all(
    from: &mut dyn io::Read,
    to: &mut File,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<u64, Failure> {
    let mut buffer = vec![0; 128 << 10];
    let mut bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                io::Write::write_all(to, &buffer[..read]).map_err(Failure::TemporaryFile)?;
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}
