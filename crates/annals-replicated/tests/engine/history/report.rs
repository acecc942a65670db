//! The report of a run.

use std::io::Write as _;
use std::time::{Duration, Instant};

use annals_replicated::history::{History, Told, check};

use super::world::World;

/// Returns the longest time in which no append returned, in seconds.
fn longest_gap(history: &History) -> f64 {
    let operations = history.operations.iter();
    let appended = operations.filter(|operation| matches!(operation.told, Told::Appended(_)));
    let mut times: Vec<u64> = appended.map(|operation| operation.ended).collect();
    times.sort_unstable();
    let gaps = times.windows(2).map(|pair| Duration::from_nanos(pair[1] - pair[0]));
    gaps.max().unwrap_or_default().as_secs_f64()
}

/// Lets faults befall a running world, the next one when every writer has gone on, and judges its history. There are
/// `count` faults, or as many as the variable `ANNALS_HISTORY_FAULTS` says.
pub(crate) fn survive<F: std::fmt::Debug + Clone>(
    mut world: World,
    faults: impl IntoIterator<Item = F, IntoIter: Clone>,
    count: usize,
    mut befall: impl FnMut(&mut World, F, usize),
) {
    let asked = std::env::var("ANNALS_HISTORY_FAULTS").ok();
    let count = asked.and_then(|count| count.parse().ok()).unwrap_or(count);
    let began = Instant::now();
    world.progress();
    for (number, fault) in faults.into_iter().cycle().take(count).enumerate() {
        let since = began.elapsed().as_secs_f64();
        let line = format!("{since:.1} s: fault {number}, {fault:?}\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        befall(&mut world, fault, number);
        world.progress();
    }
    report(&world.judge(), began);
}

/// Prints the figures of a run.
pub(crate) fn report(history: &History, began: Instant) {
    let told = |is: fn(&Told) -> bool| {
        history.operations.iter().filter(|operation| is(&operation.told)).count()
    };
    let line = format!(
        "{:.0} s: {} appends returned, {} conflicts, {} absent, {} in doubt; the longest time without an append {:.1} s\n",
        began.elapsed().as_secs_f64(),
        told(|told| matches!(told, Told::Appended(_))),
        told(|told| matches!(told, Told::Conflict { .. })),
        told(|told| matches!(told, Told::Absent)),
        told(|told| matches!(told, Told::InDoubt)),
        longest_gap(history)
    );
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// Checks that the first three processes found the divergence, and that the best of their replicas has all that was
/// acknowledged to them.
pub(crate) fn judge_divergence(world: &World, why: &str) {
    let (history, stopped) = world.history(0..3);
    for stopped in stopped {
        let said = stopped.expect("a process that appends to older data finds it");
        assert!(said.contains(why), "{said}");
    }
    let replicas = (0..3).map(|number| world.events(&format!("replica-{number}")));
    let best = replicas.max_by_key(Vec::len).unwrap();
    assert_eq!(check(&history, &best), []);
}
