//! Replacements of libc's functions that change files, for all code that is linked into this program.
//!
//! Each function checks whether the path or file is below the directory of a machine. If not, it only makes the system
//! call. If so, the machine's [`Life`](crate::disk::Life) decides what the call does. Only this module has unsafe code:
//! there is no other way to put a C++ library on another file system.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::{
    AT_FDCWD, O_CREAT, c_char, c_int, c_long, c_uint, c_void, mode_t, off_t, size_t, ssize_t,
};

use crate::disk;

/// The result of a call, or its `errno`.
pub(crate) type Outcome = Result<c_long, c_int>;

/// Converts the return value of a call to a result.
fn outcome(returned: c_long) -> Outcome {
    // SAFETY: the `errno` of the calling thread always exists.
    if returned == -1 { Err(unsafe { *libc::__errno_location() }) } else { Ok(returned) }
}

/// Converts a result to the return value of a C function, and sets `errno`.
fn give(outcome: Outcome) -> c_long {
    outcome.unwrap_or_else(|error| {
        // SAFETY: the `errno` of the calling thread always exists.
        unsafe { *libc::__errno_location() = error };
        -1
    })
}

fn give_int(outcome: Outcome) -> c_int {
    // A file descriptor or 0.
    c_int::try_from(give(outcome)).unwrap_or(-1)
}

/// Returns the path that the caller of a C function passed.
///
/// # Safety
/// `path` must be a C string that stays valid for as long as the result is used.
unsafe fn given<'a>(path: *const c_char) -> &'a Path {
    // SAFETY: the caller guarantees it.
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()))
}

/// The system calls, for the replacements and the machines.
pub(crate) mod real {
    use super::{CString, OsStrExt, Outcome, Path, c_int, c_long, outcome};

    fn name(path: &Path) -> Result<CString, c_int> {
        CString::new(path.as_os_str().as_bytes()).map_err(|_| libc::EINVAL)
    }

    /// Adds a name to a file.
    pub(crate) fn link(from: &Path, to: &Path) -> Outcome {
        let (from, to) = (name(from)?, name(to)?);
        let at = libc::AT_FDCWD;
        // SAFETY: both are C strings that stay valid until the call returns.
        outcome(unsafe { libc::syscall(libc::SYS_linkat, at, from.as_ptr(), at, to.as_ptr(), 0) })
    }

    /// Removes a name of a file.
    pub(crate) fn unlink(path: &Path) -> Outcome {
        let path = name(path)?;
        // SAFETY: it is a C string that stays valid until the call returns.
        outcome(unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) })
    }

    /// Returns the position of the next write in an open file.
    pub(crate) fn position(file: c_int) -> Result<u64, c_int> {
        // SAFETY: no memory is passed. The system returns an error for a file that is not open.
        let at = outcome(unsafe { libc::syscall(libc::SYS_lseek, file, 0, libc::SEEK_CUR) })?;
        u64::try_from(at).map_err(|_| libc::EINVAL)
    }

    pub(crate) fn close(file: c_int) -> Outcome {
        // SAFETY: the caller of `close` gives up the file.
        outcome(unsafe { libc::syscall(libc::SYS_close, c_long::from(file)) })
    }
}

/// `open(2)`. C declares it with `...`. On the systems that this is compiled for, the third argument is passed like any
/// other, and it is used only if the call may create a file.
#[unsafe(no_mangle)]
extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    let mode = if flags & O_CREAT == 0 { 0 } else { mode };
    let real = |flags: c_int| {
        // SAFETY: the arguments are those of the caller of `open`.
        outcome(unsafe {
            libc::syscall(libc::SYS_openat, AT_FDCWD, path, flags, c_uint::from(mode))
        })
    };
    // SAFETY: the caller of `open` passes a C string.
    let name = unsafe { given(path) };
    give_int(match disk::at(name) {
        None => real(flags),
        Some(life) => life.open(name, flags, real),
    })
}

#[unsafe(no_mangle)]
extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    open(path, flags, mode)
}

#[unsafe(no_mangle)]
extern "C" fn close(file: c_int) -> c_int {
    disk::forget(file);
    give_int(real::close(file))
}

#[unsafe(no_mangle)]
extern "C" fn write(file: c_int, bytes: *const c_void, size: size_t) -> ssize_t {
    let real = |part: usize| {
        // SAFETY: the arguments are those of the caller of `write`, and `part` is at most `size`.
        outcome(unsafe { libc::syscall(libc::SYS_write, file, bytes, part.min(size)) })
    };
    let written = match disk::of(file) {
        None => real(size),
        Some(open) => open.life.write(file, &open, size, real),
    };
    ssize_t::try_from(give(written)).unwrap_or(-1)
}

#[unsafe(no_mangle)]
extern "C" fn pwrite(file: c_int, bytes: *const c_void, size: size_t, at: off_t) -> ssize_t {
    let written = match disk::of(file) {
        // SAFETY: the arguments are those of the caller of `pwrite`.
        None => outcome(unsafe { libc::syscall(libc::SYS_pwrite64, file, bytes, size, at) }),
        // With the options of this crate, RocksDB only appends.
        Some(_) => Err(libc::ENOTSUP),
    };
    ssize_t::try_from(give(written)).unwrap_or(-1)
}

#[unsafe(no_mangle)]
extern "C" fn pwrite64(file: c_int, bytes: *const c_void, size: size_t, at: off_t) -> ssize_t {
    pwrite(file, bytes, size, at)
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate(file: c_int, size: off_t) -> c_int {
    // SAFETY: no memory is passed.
    let real = || outcome(unsafe { libc::syscall(libc::SYS_ftruncate, file, size) });
    give_int(match disk::of(file) {
        None => real(),
        Some(open) => open.life.set_size(&open, u64::try_from(size).unwrap_or(0), real),
    })
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate64(file: c_int, size: off_t) -> c_int {
    ftruncate(file, size)
}

#[unsafe(no_mangle)]
extern "C" fn fallocate(file: c_int, mode: c_int, at: off_t, size: off_t) -> c_int {
    give_int(match disk::of(file) {
        // SAFETY: no memory is passed.
        None => outcome(unsafe { libc::syscall(libc::SYS_fallocate, file, mode, at, size) }),
        Some(open) => open.life.allocate(&open, mode),
    })
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: c_int) -> c_int {
    give_int(match disk::of(file) {
        // SAFETY: no memory is passed.
        None => outcome(unsafe { libc::syscall(libc::SYS_fdatasync, file) }),
        // The life records the durable state. No real disk is needed.
        Some(open) => open.life.sync(&open),
    })
}

#[unsafe(no_mangle)]
extern "C" fn fsync(file: c_int) -> c_int {
    give_int(match disk::of(file) {
        // SAFETY: no memory is passed.
        None => outcome(unsafe { libc::syscall(libc::SYS_fsync, file) }),
        Some(open) => open.life.sync(&open),
    })
}

#[unsafe(no_mangle)]
extern "C" fn sync_file_range(file: c_int, at: off_t, size: off_t, flags: c_uint) -> c_int {
    give_int(match disk::of(file) {
        // SAFETY: no memory is passed.
        None => outcome(unsafe { libc::syscall(libc::SYS_sync_file_range, file, at, size, flags) }),
        // It guarantees nothing.
        Some(_) => Ok(0),
    })
}

#[unsafe(no_mangle)]
extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let at = AT_FDCWD;
    // SAFETY: the arguments are those of the caller of `rename`.
    let real = || outcome(unsafe { libc::syscall(libc::SYS_renameat2, at, from, at, to, 0) });
    // SAFETY: the caller of `rename` passes two C strings.
    let (from, to) = unsafe { (given(from), given(to)) };
    give_int(match disk::at(from) {
        None => real(),
        Some(life) => life.rename(from, to, real),
    })
}

#[unsafe(no_mangle)]
extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the argument is that of the caller of `unlink`.
    let real = || outcome(unsafe { libc::syscall(libc::SYS_unlinkat, AT_FDCWD, path, 0) });
    // SAFETY: the caller of `unlink` passes a C string.
    let name = unsafe { given(path) };
    give_int(match disk::at(name) {
        None => real(),
        Some(life) => life.unlink(name, real),
    })
}

#[unsafe(no_mangle)]
extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    let at = AT_FDCWD;
    // SAFETY: the arguments are those of the caller of `link`.
    let real = || outcome(unsafe { libc::syscall(libc::SYS_linkat, at, from, at, to, 0) });
    // SAFETY: the caller of `link` passes two C strings.
    let (from, to) = unsafe { (given(from), given(to)) };
    give_int(match disk::at(to) {
        None => real(),
        Some(life) => life.link(from, to, real),
    })
}

#[unsafe(no_mangle)]
extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the arguments are those of the caller of `mkdir`.
    let real =
        || outcome(unsafe { libc::syscall(libc::SYS_mkdirat, AT_FDCWD, path, c_uint::from(mode)) });
    // SAFETY: the caller of `mkdir` passes a C string.
    let name = unsafe { given(path) };
    give_int(match disk::at(name) {
        None => real(),
        Some(life) => life.make_directory(name, real),
    })
}

/// Shortens sleeps to 1 ms. After a failed flush, RocksDB's only flush thread, which all stores share, sleeps for 1 s.
#[unsafe(no_mangle)]
extern "C" fn usleep(microseconds: c_uint) -> c_int {
    let time = libc::timespec { tv_sec: 0, tv_nsec: i64::from(microseconds.min(1_000)) * 1_000 };
    let none = std::ptr::null_mut::<libc::timespec>();
    // SAFETY: `time` stays valid until the call returns, and nothing is written.
    give_int(outcome(unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, none) }))
}
