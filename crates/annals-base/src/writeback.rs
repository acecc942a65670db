//! Asking the system to begin to write what was put into a file.

use std::fs::File;
use std::io;

/// Has the system begin to write `size` bytes at `position` of `file` to the disk, and does not wait for it: what is
/// done meanwhile costs a later sync nothing. Nothing is durable before that sync.
///
/// Where the system or the file has no such call, nothing happens.
///
/// # Errors
/// The system's, when it cannot begin: what was written must then count as lost, since not every file system tells of it
/// again at the next sync.
#[cfg(target_os = "linux")]
pub fn start_writeback(file: &File, position: u64, size: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let (Ok(position), Ok(size)) = (position.try_into(), size.try_into()) else { return Ok(()) };
    // SAFETY: the call takes no memory of ours, and the descriptor is open for as long as `file` is borrowed.
    let begun = unsafe {
        libc::sync_file_range(file.as_raw_fd(), position, size, libc::SYNC_FILE_RANGE_WRITE)
    };
    if begun == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // Not here, not now, or not in this sandbox: the sync does all.
        Some(
            libc::ENOSYS
            | libc::EOPNOTSUPP
            | libc::EINVAL
            | libc::ESPIPE
            | libc::EINTR
            | libc::EPERM
            | libc::EACCES,
        ) => Ok(()),
        _ => Err(error),
    }
}

/// Elsewhere the sync does all.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn start_writeback(_file: &File, _position: u64, _size: u64) -> io::Result<()> {
    Ok(())
}
