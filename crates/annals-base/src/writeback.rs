//! A hint to the system: begin to write what was put into a file.

use std::fs::File;

/// Has the system begin to write `size` bytes at `position` of `file` to the disk, and does not wait for it: what is
/// done meanwhile costs a later sync nothing. Nothing is durable before that sync, and what fails, it tells.
///
/// Where the system has no such call, nothing happens.
#[cfg(target_os = "linux")]
pub fn start_writeback(file: &File, position: u64, size: u64) {
    use std::os::fd::AsRawFd as _;
    let (Ok(position), Ok(size)) = (position.try_into(), size.try_into()) else { return };
    // SAFETY: the call takes no memory of ours, and the descriptor is open for as long as `file` is borrowed.
    // A refusal is no loss: the sync does all.
    let _ = unsafe {
        libc::sync_file_range(file.as_raw_fd(), position, size, libc::SYNC_FILE_RANGE_WRITE)
    };
}

/// Elsewhere the sync does all.
#[cfg(not(target_os = "linux"))]
pub fn start_writeback(_file: &File, _position: u64, _size: u64) {}
