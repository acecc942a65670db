//! RocksDB under a failing system: losses of power, killed processes, failed writes and syncs, missing and changed
//! files.
//!
//! ```text
//!   RocksDB, std ──calls──▶ syscalls ──▶ disk: the plan, and the durable state ──▶ libc's system calls
//!                                         └──restart(Loss)──▶ a directory with the state of the disk
//! ```
//! RocksDB is linked into this program, so it calls the functions `write`, `fdatasync`, `rename` and so on that this
//! program defines. They pass calls on to the system, except below the directories of a [`machine`]. Every schedule has
//! a seed, which a failure names: `ANNALS_CRASH_SEED=17` runs that schedule alone, `ANNALS_CRASH_SCHEDULES=10000` runs
//! more. RocksDB has its own threads, so a seed decides the appends and the number of the call at which the power goes
//! off, but not which call that is.

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
