//! The bytes of a file, as processes see them and as the disk has them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use super::loss::Loss;
use crate::Random;

const SECTOR: u64 = 512;
const PAGE: u64 = 4096;

type Sector = [u8; 512];
/// Sectors by number. A missing one consists of zeroes.
type Sectors = BTreeMap<u64, Sector>;

/// The content of a file.
#[derive(Debug, Default)]
pub(super) struct Content {
    cache: Sectors,
    durable: Sectors,
    /// The versions of each changed sector since the last sync, in order. The last one is the current one.
    dirty: BTreeMap<u64, Vec<Sector>>,
    size: u64,
    durable_size: u64,
    /// The sizes of the file since the last sync.
    sizes: Vec<u64>,
    /// The pages that take space on the disk.
    allocated: BTreeSet<u64>,
    /// The real file, if the content is mapped.
    mapped: Option<File>,
    /// The handle that holds the lock.
    pub(super) locked: Option<u64>,
}

impl Content {
    /// Returns the content of a file with these bytes, which are durable.
    pub(super) fn of(bytes: &[u8]) -> io::Result<Self> {
        let mut content = Self::default();
        content.write(bytes, 0)?;
        content.sync();
        Ok(content)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the bytes of disk space that it takes.
    pub(super) fn used(&self) -> u64 {
        self.allocated.len() as u64 * PAGE
    }

    pub(super) fn read(&self, bytes: &mut [u8], position: u64) -> usize {
        let end = self.size.min(position.saturating_add(bytes.len() as u64));
        let Some(size) = end.checked_sub(position).and_then(|size| usize::try_from(size).ok())
        else {
            return 0;
        };
        bytes[..size].fill(0);
        for (&number, sector) in self.cache.range(position / SECTOR..end.div_ceil(SECTOR)) {
            let start = (number * SECTOR).max(position);
            let stop = ((number + 1) * SECTOR).min(end);
            let (from, to) = (to_usize(start - position), to_usize(stop - position));
            let inside = to_usize(start - number * SECTOR);
            bytes[from..to].copy_from_slice(&sector[inside..inside + to - from]);
        }
        size
    }

    /// Returns the position of the first byte at or after `position` that may not be zero.
    pub(super) fn next_data(&self, position: u64) -> Option<u64> {
        let (&number, _) = self.cache.range(position / SECTOR..).next()?;
        Some((number * SECTOR).max(position)).filter(|&position| position < self.size)
    }

    pub(super) fn write(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        let end = position + bytes.len() as u64;
        if end > self.size {
            self.resize(end)?;
        }
        for number in position / SECTOR..end.div_ceil(SECTOR) {
            let start = (number * SECTOR).max(position);
            let stop = ((number + 1) * SECTOR).min(end);
            let inside = to_usize(start - number * SECTOR)..to_usize(stop - number * SECTOR);
            let sector = self.cache.entry(number).or_insert([0; 512]);
            sector[inside]
                .copy_from_slice(&bytes[to_usize(start - position)..to_usize(stop - position)]);
            self.dirty.entry(number).or_default().push(*sector);
        }
        self.allocate(position, bytes.len() as u64);
        if let Some(mut file) = self.mapped.as_ref() {
            file.seek(SeekFrom::Start(position))?;
            file.write_all(bytes)?;
        }
        Ok(())
    }

    pub(super) fn resize(&mut self, size: u64) -> io::Result<()> {
        if size < self.size {
            let whole = size.div_ceil(SECTOR);
            if !size.is_multiple_of(SECTOR)
                && let Some(sector) = self.cache.get_mut(&(size / SECTOR))
            {
                sector[to_usize(size % SECTOR)..].fill(0);
                self.dirty.entry(size / SECTOR).or_default().push(*sector);
            }
            for (number, _) in self.cache.split_off(&whole) {
                self.dirty.entry(number).or_default().push([0; 512]);
            }
            self.allocated.split_off(&size.div_ceil(PAGE));
        }
        self.size = size;
        self.sizes.push(size);
        self.mapped.as_ref().map_or(Ok(()), |file| file.set_len(size))
    }

    /// Returns how many of the bytes `position..position + size` fit on the disk: they lie in allocated pages, or in
    /// pages that can be allocated from `room` bytes of free space.
    pub(super) fn fitting(&self, position: u64, size: u64, room: u64) -> u64 {
        let end = position + size;
        let mut left = room / PAGE;
        for number in position / PAGE..end.div_ceil(PAGE) {
            if !self.allocated.contains(&number) {
                let Some(less) = left.checked_sub(1) else {
                    return (number * PAGE).saturating_sub(position);
                };
                left = less;
            }
        }
        size
    }

    pub(super) fn allocate(&mut self, position: u64, size: u64) {
        self.allocated.extend(position / PAGE..(position + size).div_ceil(PAGE));
    }

    pub(super) fn sync(&mut self) {
        for (number, versions) in std::mem::take(&mut self.dirty) {
            if let Some(last) = versions.last() {
                put(&mut self.durable, number, last);
            }
        }
        self.sizes.clear();
        self.durable_size = self.size;
    }

    /// Fails a sync: only some of the dirty sectors reach the disk, but all of them count as clean.
    pub(super) fn fail_to_sync(&mut self, random: &mut Random) {
        for (number, versions) in std::mem::take(&mut self.dirty) {
            if let Some(last) = versions.last().filter(|_| random.once_in(2)) {
                put(&mut self.durable, number, last);
            }
        }
        if random.once_in(2) {
            self.durable_size = self.size;
        }
    }

    /// Returns the content that processes see, all of it durable.
    pub(super) fn settled(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            durable: self.cache.clone(),
            size: self.size,
            durable_size: self.size,
            allocated: self.allocated.clone(),
            ..Self::default()
        }
    }

    /// Returns the content after a loss of power.
    pub(super) fn after(&self, loss: Loss, random: &mut Random) -> Self {
        let mut sectors = self.durable.clone();
        let size = match loss {
            Loss::Everything => self.durable_size,
            Loss::Nothing => self.size,
            Loss::Sectors(_) | Loss::Pages(_) => {
                let choice = random.index(self.sizes.len() + 1);
                if choice == 0 { self.durable_size } else { self.sizes[choice - 1] }
            }
        };
        let mut page = (u64::MAX, false);
        for (&number, versions) in &self.dirty {
            let version = match loss {
                Loss::Everything => None,
                Loss::Nothing => versions.last(),
                Loss::Sectors(_) => {
                    let choice = random.index(versions.len() + 1);
                    // Half of the sectors are old, also those with many versions.
                    choice
                        .checked_sub(1)
                        .filter(|_| random.once_in(2))
                        .map(|choice| &versions[choice])
                }
                Loss::Pages(_) => {
                    if page.0 != number / (PAGE / SECTOR) {
                        page = (number / (PAGE / SECTOR), random.once_in(2));
                    }
                    versions.last().filter(|_| page.1)
                }
            };
            if let Some(version) = version {
                put(&mut sectors, number, version);
            }
        }
        sectors.split_off(&size.div_ceil(SECTOR));
        if !size.is_multiple_of(SECTOR)
            && let Some(sector) = sectors.get_mut(&(size / SECTOR))
        {
            sector[to_usize(size % SECTOR)..].fill(0);
        }
        let allocated = sectors.keys().map(|number| number / (PAGE / SECTOR)).collect();
        let durable = sectors.clone();
        Self { cache: sectors, durable, size, durable_size: size, allocated, ..Self::default() }
    }

    /// Ends the lock and the mapping of the process.
    pub(super) fn forget_process(&mut self) {
        self.locked = None;
        self.mapped = None;
    }

    /// Returns a real file with the same bytes, now and after later writes.
    pub(super) fn real_file(&mut self) -> io::Result<File> {
        if self.mapped.is_none() {
            let file = in_memory()?;
            self.copy_to(&file)?;
            self.mapped = Some(file);
        }
        self.mapped.as_ref().map_or_else(|| Err(io::ErrorKind::NotFound.into()), File::try_clone)
    }

    pub(super) fn copy_to(&self, mut file: &File) -> io::Result<()> {
        file.set_len(self.size)?;
        for (&number, sector) in &self.cache {
            let position = number * SECTOR;
            file.seek(SeekFrom::Start(position))?;
            file.write_all(&sector[..to_usize(SECTOR.min(self.size - position))])?;
        }
        Ok(())
    }
}

/// Creates a file without a name, in memory if the system supports that.
fn in_memory() -> io::Result<File> {
    tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile())
}

fn put(sectors: &mut Sectors, number: u64, sector: &Sector) {
    if sector.iter().any(|&byte| byte != 0) {
        sectors.insert(number, *sector);
    } else {
        sectors.remove(&number);
    }
}

/// Converts a position inside a buffer, whose size fits `usize`.
fn to_usize(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
