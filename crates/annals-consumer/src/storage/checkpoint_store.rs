//! The seam to where positions are stored, and positions in memory.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;

use annals::backend::check_series;
use parking_lot::Mutex;

/// A store for the positions of consumers: a few bytes for each name.
///
/// A log in files stores positions beside it, a log in memory keeps them in memory. Implement this trait to store them
/// elsewhere, for example in the database that the consumer writes to, and pass it to
/// [`ConsumerBuilder::checkpoints`](crate::ConsumerBuilder::checkpoints).
///
/// A name is one file name on every system; [`annals::backend::check_series`] checks it.
///
/// ```
/// use annals_consumer::{CheckpointStore, MemoryCheckpoints};
/// let checkpoints = MemoryCheckpoints::default();
/// checkpoints.save("mailer", b"bytes")?;
/// assert_eq!(checkpoints.load("mailer")?.as_deref(), Some(&b"bytes"[..]));
/// assert_eq!(checkpoints.names()?, ["mailer"]);
/// checkpoints.remove("mailer")?;
/// assert_eq!(checkpoints.load("mailer")?, None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait CheckpointStore: Send + Sync + Debug {
    /// Returns the bytes that are stored under the name; `None` if none are stored.
    ///
    /// # Errors
    /// An error of the system, or the name is not valid.
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Stores the bytes under the name, in place of those before. After a failure or a crash, either the old or the new
    /// bytes are stored. When it returns, they survive the loss of power, if the store survives it at all.
    ///
    /// # Errors
    /// An error of the system, or the name is not valid.
    fn save(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Removes what is stored under the name, if anything is.
    ///
    /// # Errors
    /// An error of the system, or the name is not valid.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns all names, in order.
    ///
    /// # Errors
    /// An error of the system.
    fn names(&self) -> io::Result<Vec<String>>;
}

/// Positions in memory, which are gone with the value. [`CheckpointStore`] has an example.
#[derive(Debug, Default)]
pub struct MemoryCheckpoints(Mutex<BTreeMap<String, Vec<u8>>>);

impl CheckpointStore for MemoryCheckpoints {
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        check_series(name)?;
        Ok(self.0.lock().get(name).cloned())
    }

    fn save(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        check_series(name)?;
        self.0.lock().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_series(name)?;
        self.0.lock().remove(name);
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().keys().cloned().collect())
    }
}
