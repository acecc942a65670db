//! Asks the operating system to start writing a file's new bytes to the disk.

use std::fs::File;
use std::io;

/// Asks the operating system to start writing `size` bytes at `position` of `file` to the disk, and does not wait. The
/// bytes that are written before a later sync do not cost that sync any time. Nothing is durable before that sync.
///
/// Does nothing if the operating system or the file does not support the call.
///
/// # Errors
/// The error of the operating system. The caller must then count the bytes as lost, because not every file system
/// reports the error again at the next sync.
#[cfg(target_os = "linux")]
pub fn start_writeback(file: &File, position: u64, size: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let (Ok(position), Ok(size)) = (position.try_into(), size.try_into()) else { return Ok(()) };
    // SAFETY: the call accesses no memory of this process, and the descriptor is open as long as `file` is borrowed.
    let result = unsafe {
        libc::sync_file_range(file.as_raw_fd(), position, size, libc::SYNC_FILE_RANGE_WRITE)
    };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // The call is not supported, was interrupted, or is not allowed in a sandbox. The sync writes the bytes then.
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

/// Does nothing on other operating systems: the sync writes the bytes.
///
/// # Errors
/// This function returns no errors.
#[cfg(not(target_os = "linux"))]
pub fn start_writeback(_file: &File, _position: u64, _size: u64) -> io::Result<()> {
    Ok(())
}
