//! Every byte of a small store flipped, and every file cut and zeroed: no wrong event is read, and no missing event is
//! unreported. A refused store is not changed.

use std::sync::atomic::{AtomicUsize, Ordering};

use annals_conformance::fault::{FaultFileSystem, Image, on_disk};

use crate::harmed::{
    Expected, RealCopy, active_log, all_but_lock, end_of_data, files, image, is_unchanged, judge,
    open,
};

/// Applies each harm alone to a copy of a store and judges the result, on all processors.
fn harm_each(whole: &Image, harms: &[Harm], closed: bool) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let real = RealCopy::of(&FaultFileSystem::of(whole, 0));
                while let Some(harm) = harms.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let disk = FaultFileSystem::of(whole, 0);
                    let bytes = harm.apply(&disk);
                    let note = format!("{harm:?}");
                    let before = all_but_lock(&disk);
                    let expected = Expected { events: 50, cut_allowed: !closed };
                    let opened = open(&disk);
                    if opened.is_err() {
                        is_unchanged(&before, &disk, &note);
                    }
                    judge(opened, &expected, &note);
                    real.judge(&harm.name, &bytes, closed, &note);
                }
            });
        }
    });
}

#[derive(Debug, Clone)]
struct Harm {
    name: String,
    how: How,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Flip(usize, u8),
    Truncate(usize),
    Zero(usize, usize),
}

impl Harm {
    /// Applies the harm, and returns the new bytes of the file.
    fn apply(&self, disk: &FaultFileSystem) -> Vec<u8> {
        let path = on_disk("store").join(&self.name);
        let mut bytes = disk.contents(&path).expect("read");
        match self.how {
            How::Flip(position, mask) => bytes[position] ^= mask,
            How::Truncate(size) => bytes.truncate(size),
            How::Zero(start, end) => bytes[start..end].fill(0),
        }
        disk.put(&path, &bytes);
        bytes
    }
}

fn every_byte_of(disk: &FaultFileSystem, name: &str) -> Vec<Harm> {
    let bytes = disk.contents(on_disk("store").join(name)).expect("read");
    let end = end_of_data(&bytes).next_multiple_of(8) + 16;
    let mask =
        |position: usize| if position.is_multiple_of(3) { 0xff } else { 1 << (position % 8) };
    (0..end.min(bytes.len()))
        .map(|position| Harm { name: name.to_owned(), how: How::Flip(position, mask(position)) })
        .collect()
}

#[test]
fn no_byte_of_a_closed_store_can_be_flipped_unseen() {
    let whole = image(50, true);
    let disk = FaultFileSystem::of(&whole, 0);
    let names: Vec<_> =
        files(&disk).into_iter().map(|(name, _)| name).filter(|name| name != "LOCK").collect();
    assert!(names.len() >= 7, "{names:?}");
    let harms: Vec<_> = names.iter().flat_map(|name| every_byte_of(&disk, name)).collect();
    harm_each(&whole, &harms, true);
}

#[test]
fn no_byte_of_a_store_that_was_not_closed_can_be_flipped_unseen_but_in_what_may_be_torn() {
    let whole = image(50, false);
    let disk = FaultFileSystem::of(&whole, 0);
    let name = active_log(&disk).file_name().expect("a name").to_string_lossy().into_owned();
    harm_each(&whole, &every_byte_of(&disk, &name), false);
}

#[test]
fn no_file_of_a_closed_store_can_be_cut_or_zeroed_unseen() {
    let whole = image(50, true);
    let disk = FaultFileSystem::of(&whole, 0);
    let mut harms = Vec::new();
    for (name, bytes) in files(&disk).into_iter().filter(|(name, _)| name != "LOCK") {
        for size in (0..bytes.len()).step_by(13).chain([bytes.len() - 1]) {
            harms.push(Harm { name: name.clone(), how: How::Truncate(size) });
            harms.push(Harm { name: name.clone(), how: How::Zero(size, bytes.len()) });
            harms.push(Harm {
                name: name.clone(),
                how: How::Zero(size, (size + 64).min(bytes.len())),
            });
        }
    }
    harms.retain(|harm| {
        let disk = FaultFileSystem::of(&whole, 0);
        let before = disk.contents(on_disk("store").join(&harm.name)).expect("read");
        harm.apply(&disk) != before
    });
    harm_each(&whole, &harms, true);
}
