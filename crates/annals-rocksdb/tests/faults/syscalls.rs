//! The system's calls that change files, in place of libc's, for all that is linked into this program.
//!
//! Each asks whether the path or file is below a machine's directory. If not, it is the system's call and nothing
//! else; if so, the machine's [`Life`](crate::disk::Life) decides what becomes of it. This is the only module with
//! unsafe code: a library that is written in C++ can be put on another file system in no other way.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::{
    AT_FDCWD, O_CREAT, c_char, c_int, c_long, c_uint, c_void, mode_t, off_t, size_t, ssize_t,
};

use crate::disk;

/// What a call answers, or its `errno`.
pub(crate) type Answer = Result<c_long, c_int>;

/// A call's answer as Rust has it.
fn answer(returned: c_long) -> Answer {
    // SAFETY: the calling thread's own `errno`, which always is there.
    if returned == -1 { Err(unsafe { *libc::__errno_location() }) } else { Ok(returned) }
}

/// An answer as C has it.
fn give(answer: Answer) -> c_long {
    answer.unwrap_or_else(|error| {
        // SAFETY: the calling thread's own `errno`, which always is there.
        unsafe { *libc::__errno_location() = error };
        -1
    })
}

fn give_int(answer: Answer) -> c_int {
    // A file's number, or 0.
    c_int::try_from(give(answer)).unwrap_or(-1)
}

/// The path that a caller of a C function gives.
///
/// # Safety
/// `path` is a string of C's that stays for as long as the answer is used.
unsafe fn given<'a>(path: *const c_char) -> &'a Path {
    // SAFETY: as the caller says.
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()))
}

/// The system's own calls, for whoever stands above them.
pub(crate) mod real {
    use super::{Answer, CString, OsStrExt, Path, answer, c_int, c_long};

    fn name(path: &Path) -> Result<CString, c_int> {
        CString::new(path.as_os_str().as_bytes()).map_err(|_| libc::EINVAL)
    }

    /// One more name of a file.
    pub(crate) fn link(from: &Path, to: &Path) -> Answer {
        let (from, to) = (name(from)?, name(to)?);
        let at = libc::AT_FDCWD;
        // SAFETY: two strings of C's that stay until the call returns.
        answer(unsafe { libc::syscall(libc::SYS_linkat, at, from.as_ptr(), at, to.as_ptr(), 0) })
    }

    /// One name of a file less.
    pub(crate) fn unlink(path: &Path) -> Answer {
        let path = name(path)?;
        // SAFETY: a string of C's that stays until the call returns.
        answer(unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) })
    }

    /// Where in an open file the next write goes.
    pub(crate) fn position(file: c_int) -> Result<u64, c_int> {
        // SAFETY: no memory is given; of a file that is not open the system says so.
        let at = answer(unsafe { libc::syscall(libc::SYS_lseek, file, 0, libc::SEEK_CUR) })?;
        u64::try_from(at).map_err(|_| libc::EINVAL)
    }

    pub(crate) fn close(file: c_int) -> Answer {
        // SAFETY: the caller of `close` gives up the file.
        answer(unsafe { libc::syscall(libc::SYS_close, c_long::from(file)) })
    }
}

/// `open(2)`. C declares it with `...`; on the systems that this is compiled for the third argument is passed as any
/// other, and not looked at unless a file may be made.
#[unsafe(no_mangle)]
extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    let mode = if flags & O_CREAT == 0 { 0 } else { mode };
    let real = |flags: c_int| {
        // SAFETY: the arguments are those of our caller, who calls `open`.
        answer(unsafe {
            libc::syscall(libc::SYS_openat, AT_FDCWD, path, flags, c_uint::from(mode))
        })
    };
    // SAFETY: our caller calls `open`, with a string of C's.
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
        // SAFETY: the arguments are those of our caller, who calls `write`; never more bytes than he gave.
        answer(unsafe { libc::syscall(libc::SYS_write, file, bytes, part.min(size)) })
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
        // SAFETY: the arguments are those of our caller, who calls `pwrite`.
        None => answer(unsafe { libc::syscall(libc::SYS_pwrite64, file, bytes, size, at) }),
        // As RocksDB is set here it appends and nothing else.
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
    // SAFETY: no memory is given.
    let real = || answer(unsafe { libc::syscall(libc::SYS_ftruncate, file, size) });
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
        // SAFETY: no memory is given.
        None => answer(unsafe { libc::syscall(libc::SYS_fallocate, file, mode, at, size) }),
        Some(open) => open.life.allocate(&open, mode),
    })
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: c_int) -> c_int {
    give_int(match disk::of(file) {
        // SAFETY: no memory is given.
        None => answer(unsafe { libc::syscall(libc::SYS_fdatasync, file) }),
        // What is durable is kept account of; nothing need wait for a disk.
        Some(open) => open.life.sync(&open),
    })
}

#[unsafe(no_mangle)]
extern "C" fn fsync(file: c_int) -> c_int {
    give_int(match disk::of(file) {
        // SAFETY: no memory is given.
        None => answer(unsafe { libc::syscall(libc::SYS_fsync, file) }),
        Some(open) => open.life.sync(&open),
    })
}

#[unsafe(no_mangle)]
extern "C" fn sync_file_range(file: c_int, at: off_t, size: off_t, flags: c_uint) -> c_int {
    give_int(match disk::of(file) {
        // SAFETY: no memory is given.
        None => answer(unsafe { libc::syscall(libc::SYS_sync_file_range, file, at, size, flags) }),
        // It promises nothing.
        Some(_) => Ok(0),
    })
}

#[unsafe(no_mangle)]
extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let at = AT_FDCWD;
    // SAFETY: the arguments are those of our caller, who calls `rename`.
    let real = || answer(unsafe { libc::syscall(libc::SYS_renameat2, at, from, at, to, 0) });
    // SAFETY: our caller calls `rename`, with two strings of C's.
    let (from, to) = unsafe { (given(from), given(to)) };
    give_int(match disk::at(from) {
        None => real(),
        Some(life) => life.rename(from, to, real),
    })
}

#[unsafe(no_mangle)]
extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the argument is that of our caller, who calls `unlink`.
    let real = || answer(unsafe { libc::syscall(libc::SYS_unlinkat, AT_FDCWD, path, 0) });
    // SAFETY: our caller calls `unlink`, with a string of C's.
    let name = unsafe { given(path) };
    give_int(match disk::at(name) {
        None => real(),
        Some(life) => life.unlink(name, real),
    })
}

#[unsafe(no_mangle)]
extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    let at = AT_FDCWD;
    // SAFETY: the arguments are those of our caller, who calls `link`.
    let real = || answer(unsafe { libc::syscall(libc::SYS_linkat, at, from, at, to, 0) });
    // SAFETY: our caller calls `link`, with two strings of C's.
    let (from, to) = unsafe { (given(from), given(to)) };
    give_int(match disk::at(to) {
        None => real(),
        Some(life) => life.link(from, to, real),
    })
}

#[unsafe(no_mangle)]
extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the arguments are those of our caller, who calls `mkdir`.
    let real =
        || answer(unsafe { libc::syscall(libc::SYS_mkdirat, AT_FDCWD, path, c_uint::from(mode)) });
    // SAFETY: our caller calls `mkdir`, with a string of C's.
    let name = unsafe { given(path) };
    give_int(match disk::at(name) {
        None => real(),
        Some(life) => life.make_directory(name, real),
    })
}

/// After a flush that failed RocksDB's one thread for flushes, which is all stores', sleeps for a second. Here for a
/// thousandth.
#[unsafe(no_mangle)]
extern "C" fn usleep(microseconds: c_uint) -> c_int {
    let time = libc::timespec { tv_sec: 0, tv_nsec: i64::from(microseconds.min(1_000)) * 1_000 };
    let none = std::ptr::null_mut::<libc::timespec>();
    // SAFETY: the time stays until the call returns, and nothing is written.
    give_int(answer(unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, none) }))
}
