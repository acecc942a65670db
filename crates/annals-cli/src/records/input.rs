//! The input of an import: a file that can be read twice.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use crate::failure::Failure;
use crate::signals::{Interrupt, Waker};

/// A file, which is read from the position at which it was given.
pub(crate) struct Input {
    file: File,
    start: u64,
    /// The number of bytes from the start to the end.
    pub(crate) bytes: u64,
}

impl Input {
    /// Opens a file, or standard input. What cannot be read twice is copied to a temporary file; a signal ends that,
    /// also while no input comes.
    pub(crate) fn open(
        path: Option<&Path>,
        interrupt: &Interrupt,
        waker: &Waker,
    ) -> Result<Self, Failure> {
        let failed = |source| match path {
            Some(path) => Failure::InputFile { path: path.to_owned(), source },
            None => Failure::Input(source),
        };
        let (reader, file) = match path {
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
        let copy = tempfile::tempfile().map_err(Failure::TemporaryFile)?;
        let target = copy.try_clone().map_err(Failure::TemporaryFile)?;
        let (ended, end) = mpsc::channel();
        let interrupted = ended.clone();
        // An error is ignored: nothing waits for the end any more.
        waker.set(move || drop(interrupted.send(None)));
        interrupt.check()?;
        thread::spawn(move || drop(ended.send(Some(copy_all(reader, target)))));
        match end.recv().ok().flatten() {
            Some(Ok(bytes)) => Ok(Self { file: copy, start: 0, bytes }),
            Some(Err(CopyError::Read(source))) => Err(failed(source)),
            Some(Err(CopyError::Write(source))) => Err(Failure::TemporaryFile(source)),
            None => Err(Failure::Interrupted),
        }
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

/// Which side of a copy failed.
enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Copies the rest of a stream. Returns the number of bytes.
fn copy_all(mut from: impl io::Read, mut to: File) -> Result<u64, CopyError> {
    let mut buffer = vec![0; 128 << 10];
    let mut bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                io::Write::write_all(&mut to, &buffer[..read]).map_err(CopyError::Write)?;
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Read(error)),
        }
    }
}
