//! Operations on whole files, built from the calls of the file system seam.

use std::io::{self, ErrorKind};

use super::{StoreDirectory, StoreFile, UNFINISHED};

/// Reads a whole file.
pub(crate) fn read_all(directory: &dyn StoreDirectory, name: &str) -> io::Result<Vec<u8>> {
    read_up_to(directory, name, u64::MAX)
}

/// Reads a whole file. Fails if it has more than `limit` bytes. A damaged file may claim to be larger than memory, so
/// the reservation of memory may fail too.
pub(crate) fn read_up_to(
    directory: &dyn StoreDirectory,
    name: &str,
    limit: u64,
) -> io::Result<Vec<u8>> {
    let file = directory.open_read_only(name)?;
    let size = file.size()?;
    if size > limit {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let size = usize::try_from(size).map_err(|_| ErrorKind::FileTooLarge)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size)?;
    bytes.resize(size, 0);
    let size = file.read_at(&mut bytes, 0)?;
    bytes.truncate(size);
    Ok(bytes)
}

/// Writes `bytes` to a file, whole and durably, or leaves the file as it was.
pub(crate) fn write_all(
    directory: &dyn StoreDirectory,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    write_all_with(directory, name, |file| file.write_at(bytes, 0))
}

/// Writes a file like [`write_all`], with the content that `write` writes.
pub(crate) fn write_all_with(
    directory: &dyn StoreDirectory,
    name: &str,
    write: impl FnOnce(&dyn StoreFile) -> io::Result<()>,
) -> io::Result<()> {
    let unfinished = format!("{name}.{UNFINISHED}");
    match directory.remove(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => write_by(directory, &unfinished, name, write),
    }
}

/// Writes a file like [`write_all_with`], through the file `unfinished`, which does not exist yet.
pub(crate) fn write_by(
    directory: &dyn StoreDirectory,
    unfinished: &str,
    name: &str,
    write: impl FnOnce(&dyn StoreFile) -> io::Result<()>,
) -> io::Result<()> {
    let file = directory.create(unfinished)?;
    let written =
        write(&*file).and_then(|()| file.sync()).and_then(|()| directory.rename(unfinished, name));
    if let Err(error) = written {
        // The file is useless and takes room, perhaps the last there was. If it stays, the next opening removes it.
        let _ = directory.remove(unfinished);
        return Err(error);
    }
    directory.sync()
}

/// Returns the end of the last byte from `start` on that is not zero, if there is one.
pub(crate) fn last_data(file: &dyn StoreFile, start: u64) -> io::Result<Option<usize>> {
    let mut chunk = vec![0; 1 << 18];
    let (mut position, mut last) = (start, None);
    while let Some(data) = file.next_data(position)? {
        let size = file.read_at(&mut chunk, data)?;
        // First tests the whole chunk: it is nearly always zero, and this test is fast.
        if chunk[..size].iter().fold(0, |any, byte| any | byte) != 0 {
            let at = chunk[..size].iter().rposition(|&byte| byte != 0).unwrap_or(0);
            last = usize::try_from(data).ok().map(|data| data + at + 1);
        }
        if size == 0 {
            break;
        }
        position = data + size as u64;
    }
    Ok(last)
}

/// Overwrites the bytes from `start` to `end` with zeroes, durably. Writes only pages that are not zero already, so
/// that it needs no room on a full disk.
pub(crate) fn erase(file: &dyn StoreFile, start: usize, end: usize) -> io::Result<()> {
    const PAGE: usize = 4096;
    let (zeroes, mut page) = ([0; PAGE], [0; PAGE]);
    let mut position = start;
    while position < end {
        let size = (PAGE - position % PAGE).min(end - position);
        let read = file.read_at(&mut page[..size], position as u64)?;
        if page[..read] != zeroes[..read] {
            file.write_at(&zeroes[..read], position as u64)?;
        }
        position += size;
    }
    file.sync()
}

#[cfg(test)]
mod tests {
    use super::super::FileSystem as _;
    use super::super::real::RealFileSystem;
    use super::*;

    #[test]
    fn a_file_larger_than_asked_for_is_an_error() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::write(temporary.path().join("file"), "content").unwrap();
        let directory = RealFileSystem.open_directory(temporary.path()).unwrap();
        assert_eq!(read_up_to(&*directory, "file", 7).unwrap(), b"content");
        let error = read_up_to(&*directory, "file", 6).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }
}
