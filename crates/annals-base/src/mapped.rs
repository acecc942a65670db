//! A file that is mapped into memory for reading.
//!
//! ```text
//!   file    [ bytes that are final          | room still to be written ]
//!   mapped  [ len                           ]
//! ```

use std::{fmt, fs::File, io};

use memmap2::{Mmap, MmapOptions};

/// The first bytes of a file, mapped read-only and shared with all processes that have the file open.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// let mut file = tempfile::tempfile()?;
/// file.write_all(b"what happened")?;
/// // SAFETY: no other code has the file, and its first four bytes do not change.
/// let mapped = unsafe { annals_base::MappedFile::map(&file, 4)? };
/// assert_eq!(mapped.as_ref(), b"what");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct MappedFile {
    /// `None` for zero bytes, which operating systems refuse to map.
    mapping: Option<Mmap>,
}

impl MappedFile {
    /// Maps the first `len` bytes of `file`, which may be closed afterwards. Nothing is read yet.
    ///
    /// # Safety
    /// Rust requires that the bytes behind a `&[u8]` do not change, and the operating system does not enforce that. For
    /// as long as the mapping lives, the caller guarantees of the file, for this process and all others:
    ///
    /// * **Bytes that a reader looks at are never rewritten**, neither before nor after the look: otherwise the
    ///   behaviour is undefined. Bytes that no reader looks at may still be written, so a file may grow into its
    ///   mapping.
    /// * **The file is not truncated** below bytes that a reader reads: reading a byte that is gone kills the process
    ///   with SIGBUS. (On Windows the truncation fails.)
    ///
    /// An append-only file meets both conditions if one process writes it under a lock and readers read only durable
    /// bytes.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is shorter than `len` bytes, because reading
    /// beyond its end would kill the process. Otherwise the error of the operating system, for example if the file is
    /// not open for reading.
    pub unsafe fn map(file: &File, len: usize) -> io::Result<Self> {
        let file_len = file.metadata()?.len();
        if len as u64 > file_len {
            let message = format!("cannot map {len} bytes of a file that has {file_len}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if len == 0 {
            return Ok(Self { mapping: None });
        }
        // SAFETY: the check above shows that the file has the bytes, and the caller guarantees that they do not change.
        let mapping = unsafe { MmapOptions::new().len(len).map(file)? };
        Ok(Self { mapping: Some(mapping) })
    }

    /// Returns the number of mapped bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Returns whether no byte is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl AsRef<[u8]> for MappedFile {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.mapping.as_deref().unwrap_or_default()
    }
}

/// Shows the length and not the bytes, because there may be millions.
impl fmt::Debug for MappedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedFile").field("len", &self.len()).finish_non_exhaustive()
    }
}
