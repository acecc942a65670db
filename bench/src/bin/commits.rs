//! How a commit can reach the disk: `write` and then `fdatasync`, both in one submission of io_uring, and two commits
//! on their way at once, by two threads and by io_uring. What the Journal does is the first.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin commits -- DIR` (Linux). All write the same sizes into
//! files whose room was filled with zeroes before, as the Journal's are.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("io_uring is only in Linux");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::FileExt as _;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use io_uring::squeue::{Entry, Flags};
    use io_uring::{IoUring, opcode, types};

    const ROUNDS: usize = 5;
    /// A commit of one event of 500 bytes, and one of 1,000 such events, with how many are made in a round.
    const SIZES: [(usize, usize); 2] = [(624, 1_000), (624_000, 100)];

    /// Writes the commits to the file, each durable before it counts, and returns how long each took, in ns.
    type Way = fn(&File, &[u8], usize) -> Vec<f64>;

    const WAYS: [(&str, Way); 4] = [
        ("write, fdatasync", write_and_sync),
        ("io_uring, one submission", one_submission),
        ("two at once, two threads", two_threads),
        ("two at once, io_uring", two_submissions),
    ];

    pub fn main() {
        let directory = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
        let directory = tempfile::tempdir_in(directory).expect("a directory for temporary files");
        println!(
            "| bytes of a commit | way | commits/s | p50, µs | p99, µs | processor time, µs |"
        );
        println!("|---|---|---|---|---|---|");
        for (size, count) in SIZES {
            let mut figures = WAYS.map(|_| [const { Vec::new() }; 4]);
            for _ in 0..ROUNDS {
                for ((_, way), figures) in WAYS.iter().zip(&mut figures) {
                    let round = measure(directory.path(), *way, size, count);
                    figures.iter_mut().zip(round).for_each(|(all, one)| all.push(one));
                }
            }
            for ((name, _), figures) in WAYS.iter().zip(figures) {
                let [rate, p50, p99, cpu] = figures.map(median);
                println!("| {size} | {name} | {rate:.0} | {p50:.1} | {p99:.1} | {cpu:.1} |");
            }
        }
    }

    /// Commits a second, the median and the 99th percentile of their times in µs, and the processor time of one in µs.
    fn measure(directory: &Path, way: Way, size: usize, count: usize) -> [f64; 4] {
        let path = directory.join("commits");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.expect("a file can be made");
        let room = vec![0; 1 << 20];
        let end = (size * (count + 1)).next_multiple_of(room.len());
        for at in (0..end).step_by(room.len()) {
            file.write_all_at(&room, at as u64).expect("the disk works");
        }
        file.sync_all().expect("the disk works");
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let (before, start) = (processor_time(), Instant::now());
        let mut took = way(&file, &bytes, count);
        let (all, processor) = (start.elapsed().as_secs_f64(), processor_time() - before);
        took.sort_by(f64::total_cmp);
        let at = |part: f64| took[(took.len() as f64 * part) as usize] / 1e3;
        [count as f64 / all, at(0.5), at(0.99), processor / count as f64]
    }

    fn write_and_sync(file: &File, bytes: &[u8], count: usize) -> Vec<f64> {
        (0..count).map(|at| commit(file, bytes, at)).collect()
    }

    fn commit(file: &File, bytes: &[u8], at: usize) -> f64 {
        let start = Instant::now();
        file.write_all_at(bytes, (at * bytes.len()) as u64).expect("the disk works");
        file.sync_data().expect("the disk works");
        start.elapsed().as_nanos() as f64
    }

    fn two_threads(file: &File, bytes: &[u8], count: usize) -> Vec<f64> {
        let next = AtomicUsize::new(0);
        let work = || {
            // Relaxed: each number is taken once, and nothing else is passed on.
            let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            numbers.take_while(|&at| at < count).map(|at| commit(file, bytes, at)).collect()
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(work);
            let mut took: Vec<f64> = work();
            took.extend(other.join().expect("no panic"));
            took
        })
    }

    fn one_submission(file: &File, bytes: &[u8], count: usize) -> Vec<f64> {
        by_ring(file, bytes, count, 1)
    }

    fn two_submissions(file: &File, bytes: &[u8], count: usize) -> Vec<f64> {
        by_ring(file, bytes, count, 2)
    }

    /// Commits by io_uring, so many on their way at once. Each is a write, and a sync that begins when the write is done.
    fn by_ring(file: &File, bytes: &[u8], count: usize, at_once: usize) -> Vec<f64> {
        let mut ring = IoUring::new(8).expect("the system has io_uring");
        let mut started = vec![Instant::now(); count];
        let (mut took, mut next) = (Vec::with_capacity(count), 0);
        while took.len() < count {
            while next < count && next - took.len() < at_once {
                started[next] = Instant::now();
                push(&mut ring, &entries(file, bytes, next));
                next += 1;
            }
            // One completion: of a commit's two, the write's may have been seen before.
            ring.submit_and_wait(1).expect("the system takes it");
            for done in ring.completion() {
                assert!(done.result() >= 0, "the disk works: {}", done.result());
                let (at, is_sync) = (done.user_data() as usize / 2, done.user_data() % 2 == 1);
                assert!(is_sync || done.result() as usize == bytes.len(), "a short write");
                if is_sync {
                    took.push(started[at].elapsed().as_nanos() as f64);
                }
            }
        }
        took
    }

    fn entries(file: &File, bytes: &[u8], at: usize) -> [Entry; 2] {
        let (descriptor, data) = (types::Fd(file.as_raw_fd()), 2 * at as u64);
        let size = u32::try_from(bytes.len()).expect("below 4 GiB");
        let write = opcode::Write::new(descriptor, bytes.as_ptr(), size);
        let write = write.offset((at * bytes.len()) as u64).build();
        let sync = opcode::Fsync::new(descriptor).flags(types::FsyncFlags::DATASYNC).build();
        [write.flags(Flags::IO_LINK).user_data(data), sync.user_data(data + 1)]
    }

    fn push(ring: &mut IoUring, entries: &[Entry]) {
        // SAFETY: the file and the bytes live until the commit has completed, which `by_ring` waits for.
        unsafe { ring.submission().push_multiple(entries) }.expect("the queue has room");
    }

    /// The processor time of this process, of threads that have ended, and of the system for both, in µs.
    fn processor_time() -> f64 {
        // SAFETY: zeroes are a valid value, which the call then overwrites.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a value of the right type that lives through the call.
        let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0;
        assert!(!failed, "{}", std::io::Error::last_os_error());
        let micros = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
        micros(usage.ru_utime) + micros(usage.ru_stime)
    }

    fn median(mut figures: Vec<f64>) -> f64 {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    }
}
