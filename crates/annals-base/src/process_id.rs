//! The id of this process, without a system call each time. Such a call costs as much as a small write.
//!
//! The id is stored in a page that a fork empties (`MADV_WIPEONFORK`, Linux 4.14), so that a forked process asks again.

#[cfg(all(target_os = "linux", not(any(miri, loom))))]
mod page {
    use std::ptr;
    use std::sync::OnceLock;
    use std::sync::atomic::AtomicU32;

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

    const SIZE: usize = 4096;

    /// Returns the id in the page, which is 0 before it is known. Returns `None` if the system has no such page.
    pub(super) fn number() -> Option<&'static AtomicU32> {
        static PAGE: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
        *PAGE.get_or_init(|| {
            let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
            // SAFETY: the system chooses where the new mapping goes, so it replaces no memory in use.
            let page = unsafe { mmap_anonymous(ptr::null_mut(), SIZE, protection, flags) }.ok()?;
            // SAFETY: the bytes are those of the mapping that was just made, and nothing refers to them yet.
            unsafe { madvise(page, SIZE, Advice::LinuxWipeOnFork) }.ok()?;
            // SAFETY: the mapping is aligned to a page, filled with zeroes, and never unmapped. All that ever refers to
            // it is this reference, through which it is read and written atomically; a fork empties it before the
            // forked process runs.
            Some(unsafe { &*page.cast::<AtomicU32>() })
        })
    }
}

/// Returns the id of this process, as [`std::process::id`] does. A forked process gets its own id.
#[must_use]
pub fn process_id() -> u32 {
    #[cfg(all(target_os = "linux", not(any(miri, loom))))]
    if let Some(number) = page::number() {
        use std::sync::atomic::Ordering;
        // Relaxed, paired with the Relaxed store below: the id orders nothing, and all threads of a process store the
        // same.
        let known = number.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let own = std::process::id();
        number.store(own, Ordering::Relaxed); // pairs with the Relaxed load above
        return own;
    }
    std::process::id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_system() {
        for _ in 0..3 {
            assert_eq!(process_id(), std::process::id());
        }
    }
}
