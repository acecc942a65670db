//! A file system in memory whose calls fail as planned: the nth call, in the middle of a write, on a full disk, or at a
//! loss of power.
//!
//! ```text
//!   Journal ──calls──▶ FaultFileSystem ──▶ the state that the operating system would have in memory   (cache)
//!                        │ plan: the calls      │ sync, sync_directory
//!                        │ that fail            ▼
//!                        └──restart(Loss)──▶ the state that the disk would have                       (durable)
//! ```
//! Names and contents live in memory. Each content is stored twice, in sectors of 512 bytes. Only mapped files have a
//! real file behind them. After a loss of power, the disk has everything that was synced. An unsynced sector is new,
//! old or something in between, as the seed decides. Names are lost likewise until their directory is synced.
//!
//! ```text
//!   file_system   the public face                     call, loss, hold   the plan's terms
//!   directory, file   open handles                    disk               state, power, space and plan
//!   process       the disk as one process sees it     names, content     the stored state
//! ```

mod call;
mod content;
mod directory;
mod disk;
mod file;
mod file_system;
mod hold;
mod loss;
mod names;
mod process;

pub use call::{Call, Reads};
pub use file_system::{FaultFileSystem, Image, on_disk};
pub use hold::Hold;
pub use loss::Loss;
