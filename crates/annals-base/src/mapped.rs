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
/// # What is assumed of the file
/// Rust wants the bytes behind a `&[u8]` to stay as they are, and the operating system does not see to that.
/// So this type is sound on two conditions, both about the file and neither checked after the call:
///
/// * The file is **not truncated** below the mapped length while it is mapped, by this process or another. If it
///   is, looking at a byte that is gone kills the process with SIGBUS (on Windows the truncation fails).
/// * The bytes a caller **looks at are never rewritten**, neither before nor after. If they are, what is read may be
///   neither the old nor the new, and may change between two looks: to Rust, undefined behaviour.
///   Bytes nobody looks at may still be written, so a file may grow into its mapping.
///
/// An append-only file that one process writes under a lock, and that is mapped as far as it is final, meets
/// both. Do not map a file that others may do with as they please. That the function is safe all the same
/// is a choice: no caller could check more than this paragraph asks.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// let mut file = tempfile::tempfile()?;
/// file.write_all(b"what happened")?;
/// let mapped = annals_base::MappedFile::map(&file, 4)?;
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
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is shorter than `len` bytes, because reading
    /// beyond its end would kill the process; otherwise what the operating system says, for instance that the
    /// file is not open for reading.
    pub fn map(file: &File, len: usize) -> io::Result<Self> {
        let file_len = file.metadata()?.len();
        if len as u64 > file_len {
            let message = format!("cannot map {len} bytes of a file that has {file_len}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if len == 0 {
            return Ok(Self { mapping: None });
        }
        // SAFETY: the bytes are there, checked above, and that they stay there as they are is what the type's
        // documentation asks of the file.
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
