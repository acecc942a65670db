//! The kinds of loss of power.

/// The unsynced changes that a loss of power removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of them.
    Everything,
    /// None of them: everything reached the disk in time.
    Nothing,
    /// Each sector of 512 bytes and each change of a name on its own, as the seed decides.
    Sectors(u64),
    /// Each page of 4 KiB on its own, as the seed decides, and the names from some change on. A journaling file system
    /// loses changes like this.
    Pages(u64),
}
