//! A file read as memory.
//!
//! ```text
//!   file    [ bytes that are final          | room still to be written ]
//!   mapped  [ len                           ]
//! ```

use std::{fmt, fs::File, io};

use memmap2::{Mmap, MmapOptions};

/// The first bytes of a file, mapped read-only and shared with whoever else has the file open.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// let mut file = tempfile::tempfile()?;
/// file.write_all(b"what happened")?;
/// // SAFETY: nobody else has the file, and its first four bytes stay as they are.
/// let mapped = unsafe { annals_base::MappedFile::map(&file, 4)? };
/// assert_eq!(mapped.as_ref(), b"what");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct MappedFile {
    /// `None` for no bytes at all, which systems refuse to map.
    mapping: Option<Mmap>,
}

impl MappedFile {
    /// Maps the first `len` bytes of `file`, which may be closed afterwards. Nothing is read yet.
    ///
    /// # Safety
    /// Rust requires that the bytes behind a `&[u8]` do not change, and the operating system does not enforce that. For as
    /// long as the mapping lives, the caller guarantees of the file, for this process and all others:
    ///
    /// * **Bytes that a reader looks at are never rewritten**, neither before nor after the look: otherwise the behaviour
    ///   is undefined. Bytes that no reader looks at may still be written, so a file may grow into its mapping.
    /// * **The file is not truncated** below what a reader looks at: reading a byte that is gone kills the process with
    ///   SIGBUS. (On Windows the truncation fails.)
    ///
    /// An append-only file that one process writes under a lock, and of which readers look only at what is durable, meets
    /// both.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is shorter than `len` bytes, because reading
    /// beyond its end would kill the process; otherwise what the operating system says, for instance that the
    /// file is not open for reading.
    pub unsafe fn map(file: &File, len: usize) -> io::Result<Self> {
        let file_len = file.metadata()?.len();
        if len as u64 > file_len {
            let message = format!("cannot map {len} bytes of a file that has {file_len}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if len == 0 {
            return Ok(Self { mapping: None });
        }
        // SAFETY: the bytes are there, checked above, and the caller guarantees that they stay there as they are.
        let mapping = unsafe { MmapOptions::new().len(len).map(file)? };
        Ok(Self { mapping: Some(mapping) })
    }

    /// How many bytes are mapped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Whether no byte is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells the operating system that the bytes will be read in order, so that it reads further ahead.
    /// Does nothing where there is no such hint.
    ///
    /// # Errors
    /// What the operating system says. The bytes are as good without the hint.
    pub fn advise_sequential(&self) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(mapping) = &self.mapping {
            return mapping.advise(memmap2::Advice::Sequential);
        }
        Ok(())
    }

    /// Tells the operating system that the bytes will be wanted soon, so that it begins to read them now.
    /// Does nothing where there is no such hint.
    ///
    /// # Errors
    /// What the operating system says. The bytes are as good without the hint.
    pub fn advise_willneed(&self) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(mapping) = &self.mapping {
            return mapping.advise(memmap2::Advice::WillNeed);
        }
        Ok(())
    }
}

impl AsRef<[u8]> for MappedFile {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.mapping.as_deref().unwrap_or_default()
    }
}

/// Its length and not its bytes: there may be millions.
impl fmt::Debug for MappedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedFile").field("len", &self.len()).finish_non_exhaustive()
    }
}
