//! What RocksDB leaves when the system under it fails: power cuts, killed processes, writes and syncs that fail, files
//! that are gone or changed.
//!
//! ```text
//!   RocksDB, std ──calls──▶ syscalls ──▶ disk: the plan, and what is durable ──▶ libc's system calls
//!                                         └──restart(Loss)──▶ a directory with what a disk would have
//! ```
//! RocksDB is linked into this program, and so calls this program's `write`, `fdatasync`, `rename` … where there are
//! such. They are the system's own, but below the directories of a [`machine`]. Every schedule has a seed, which a
//! failure tells: `ANNALS_CRASH_SEED=17` runs that one alone, `ANNALS_CRASH_SCHEDULES=10000` more of them. RocksDB has
//! threads of its own, so a seed says what is appended and at which call the power goes off, and not what call that is.

#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod boundary;
mod conformance;
mod creation;
mod disk;
mod full;
mod kill;
mod machine;
#[path = "../../../annals-conformance/tests/crash/model.rs"]
mod model;
mod names;
mod preflight;
mod schedule;
mod syscalls;
