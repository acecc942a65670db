//! Cores over a simulated engine with faults, by seeds: never a wrong event, and every doubt ends.
//!
//! `SEEDS=100000 cargo test -p annals-replicated --release --test simulation` runs more seeds than usual,
//! `SEEDS=5000..100000` goes on behind those that ran before, and `SEED=7 cargo test … NAME` runs one.

mod defect;
mod event;
mod invariants;
mod network;
mod operator;
mod plan;
mod replica;
mod workload;
mod world;

use std::ops::Range;

use annals::RawEvent;
use annals_replicated::history::{Told, Violation, check};
use annals_replicated::sim::{Broken, Faults, Random, SimRecord};
use annals_replicated::{Chain, Commit, LogLimits, Slot, Step};

use defect::Defect;
use invariants::INVARIANTS;
use operator::Operator;
use plan::Plan;
use world::{Outcome, World};

/// Returns the seeds to run.
fn seeds(usual: u64) -> Range<u64> {
    let number = |text: &str| text.parse::<u64>().expect("a number of a seed");
    if let Ok(seed) = std::env::var("SEED") {
        let seed = number(&seed);
        return seed..seed + 1;
    }
    let Ok(seeds) = std::env::var("SEEDS") else { return 0..usual };
    match seeds.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&seeds),
    }
}

/// Returns a plan with any of the faults that an engine may have.
fn any_plan(seed: u64) -> Plan {
    let mut random = Random::new(seed ^ 0x51ed);
    let mut percent = |most: u64| if random.chance(50) { random.below(most + 1) } else { 0 };
    let faults = Faults {
        lost_answers: percent(30),
        lost_entries: percent(30),
        doubled: percent(40),
        delayed: percent(20),
        wrong_refusals: percent(30),
        other_slots: percent(20),
        stale_reads: percent(60),
        failed_reads: percent(30),
        not_sent: percent(30),
        full: percent(10),
        strangers: percent(30),
        accepts_everything: percent(1) == 1,
    };
    Plan {
        faults,
        processes: 1 + random.index(3),
        limits: LogLimits { entry_bytes: 2_048 << random.index(3), under_way: 1 + random.index(5) },
        appends: 10 + random.index(40),
        ends: random.chance(50),
        pauses: random.chance(50),
        broken: None,
        away_ms: 0,
        operator: None,
        defect: None,
        payload: if random.chance(30) { 3_000 } else { 50 },
    }
}

/// Returns the valid commits of a record.
fn commits(record: &SimRecord) -> Vec<Commit> {
    let mut chain = Chain::new(None);
    let steps = record.entries().iter().zip(1..).map(|(entry, slot)| chain.push(Slot(slot), entry));
    let valid = steps.filter_map(|step| match step {
        Step::Valid(commit) => Some(commit),
        _ => None,
    });
    valid.collect()
}

/// Returns the events of a record.
fn events(record: &SimRecord) -> Vec<RawEvent> {
    let commits = commits(record);
    let batches = commits.iter().flat_map(|commit| commit.content().batches());
    batches.flat_map(|batch| batch.events.iter().cloned()).collect()
}

fn run(plan: &Plan, seed: u64) -> (Outcome, Vec<Violation>) {
    let world = std::panic::AssertUnwindSafe(|| World::new(plan.clone(), seed).run());
    let outcome = std::panic::catch_unwind(world)
        .unwrap_or_else(|_| panic!("seed {seed} panicked, as said above: {plan:?}"));
    let violations = check(&outcome.history, &events(&outcome.record));
    (outcome, violations)
}

#[test]
fn any_engine_that_keeps_its_promises_gives_one_log() {
    for seed in seeds(300) {
        let plan = any_plan(seed);
        let (outcome, violations) = run(&plan, seed);
        assert_eq!(violations, [], "seed {seed}: {plan:?}");
        for (name, holds) in INVARIANTS {
            assert!(holds(&outcome), "{name}: seed {seed}: {plan:?}");
        }
        let divergences = outcome.divergences;
        assert!(divergences.iter().all(Option::is_none), "seed {seed}: {divergences:?}, {plan:?}");
    }
}

/// Entries that are under way together may overtake each other, and the engine refuses those that come too early.
#[test]
fn a_commit_of_many_parts_lands_although_its_entries_overtake_each_other() {
    let plan = any_plan(51_901);
    assert!(plan.payload == 3_000 && plan.limits.under_way == 5, "the plan is still that one");
    assert!(run(&plan, 51_901).0.settled);
}

/// A plan for an engine that breaks a promise, or a core with a defect: without other faults that hide it.
fn plain_plan(processes: usize) -> Plan {
    Plan {
        faults: Faults { lost_answers: 10, wrong_refusals: 5, ..Faults::none() },
        processes,
        limits: LogLimits { entry_bytes: 1 << 20, under_way: 4 },
        appends: 40,
        ends: false,
        pauses: false,
        broken: None,
        away_ms: 0,
        operator: None,
        defect: None,
        payload: 20,
    }
}

/// A replica cannot get back the entries that an engine loses or changes after it acknowledged them. But no replica shows
/// a wrong event: as long as none has noticed, all have one log, which has everything that was acknowledged. A change far
/// behind their positions shows when the record is read again.
#[test]
fn divergence_is_told() {
    use Broken::{ChangedEntry, LostEntry, LostTail, MadeAnew, ReplacedTail, SwappedEntries};
    for broken in [LostTail, ReplacedTail, ChangedEntry, SwappedEntries, LostEntry, MadeAnew] {
        let (mut noticed, mut runs) = (0, 0);
        for seed in seeds(40) {
            let plan = Plan { broken: Some(broken), ..plain_plan(2) };
            let (outcome, _) = run(&plan, seed);
            let longest = outcome.replicas.iter().max_by_key(|replica| replica.events.len());
            let longest = longest.expect("a replica");
            let diverged = outcome.divergences.iter().any(Option::is_some);
            if !diverged {
                let violations = check(&outcome.history, &longest.events);
                assert_eq!(violations, [], "{broken:?}, seed {seed}");
            }
            let differs = events(&outcome.record) != longest.events;
            noticed += u64::from(diverged || differs);
            runs += 1;
        }
        assert!(noticed * 2 > runs, "{broken:?} was noticed in {noticed} of {runs} runs");
    }
}

/// In this run, a process was once paused between two stale reads and took its record for lost.
#[test]
fn a_pause_between_two_stale_reads_is_not_a_loss() {
    let (outcome, violations) = run(&any_plan(21_113), 21_113);
    assert_eq!(violations, []);
    assert!(outcome.divergences.iter().all(Option::is_none), "{:?}", outcome.divergences);
}

/// In these runs, the record changes between the positions of two processes, and no process reconnects. The one that is
/// behind goes on in another history, and the other one must notice by its entries: it does not look by itself.
#[test]
fn a_change_between_two_positions_is_noticed() {
    for broken in [Broken::ChangedEntry, Broken::LostEntry] {
        let noticed = (0..200).filter(|&seed| {
            let defect = Some(Defect::TakesUnchecked);
            let plan = Plan { broken: Some(broken), defect, ..plain_plan(2) };
            run(&plan, seed).0.divergences.iter().any(Option::is_some)
        });
        assert_ne!(noticed.count(), 0, "{broken:?}: no process has noticed");
    }
}

/// Returns a plan for an engine that is away and breaks a promise.
fn loss_plan(broken: Broken, seed: u64) -> Plan {
    let faults = if seed.is_multiple_of(2) { Faults::none() } else { plain_plan(2).faults };
    let processes = if seed.is_multiple_of(3) { 3 } else { 2 };
    // Longer than a check holds.
    let away_ms = 600;
    Plan { faults, broken: Some(broken), away_ms, appends: 100, ..plain_plan(processes) }
}

/// Returns what the checker finds about the appends that the engine stored after the record lost its end. What was
/// stored before may be lost, also if its answer was still under way. What other callers were told rests on what their
/// process had read before.
fn violations_after_a_loss(plan: &Plan, seed: u64) -> Vec<Violation> {
    let (mut outcome, _) = run(plan, seed);
    let loss = outcome.broken.expect("a loss");
    let before = events(&loss.before);
    outcome.history.observations.clear();
    for operation in &mut outcome.history.operations {
        let is_new = match &operation.told {
            Told::Appended(appended) if !appended.known && operation.ended >= loss.time => {
                let place = |offset| usize::try_from(offset).expect("in memory");
                let offsets = place(appended.offsets.start)..place(appended.offsets.end);
                before.get(offsets) != Some(&operation.events[..])
            }
            _ => false,
        };
        if !is_new {
            operation.told = Told::InDoubt;
        }
    }
    check(&outcome.history, &events(&outcome.record))
}

/// A record loses its end, and other processes fill the same slots. The engine compares slots only, so it also takes the
/// entries of a process that has the lost commits, and other processes with these commits read the entries. All of them
/// notice: what they acknowledge is in the log.
#[test]
fn what_is_stored_after_a_loss_is_in_the_log() {
    for broken in [Broken::LostTail, Broken::ReplacedTail] {
        for seed in seeds(100) {
            let violations = violations_after_a_loss(&loss_plan(broken, seed), seed);
            assert_eq!(violations, [], "{broken:?}, seed {seed}");
        }
    }
}

/// The same with commits of several entries: the record loses parts of a commit, or void entries, that a process has
/// read behind its last valid commit, and other commits come to their slots.
#[test]
fn what_is_stored_in_parts_after_a_loss_is_in_the_log() {
    for broken in [Broken::LostTail, Broken::ReplacedTail] {
        for seed in seeds(100) {
            let limits = LogLimits { entry_bytes: 2_048, under_way: 4 };
            let plan = Plan { limits, payload: 6_000, ..loss_plan(broken, seed) };
            let violations = violations_after_a_loss(&plan, seed);
            assert_eq!(violations, [], "{broken:?}, seed {seed}");
        }
    }
}

/// In this run, the record loses a commit whose answer is under way. Its process cannot know that, and acknowledges the
/// commit. The checker must not take it for one that was stored after the loss.
#[test]
fn a_commit_that_is_lost_before_its_answer_arrives_is_no_violation() {
    let seed = 10_655;
    let violations = violations_after_a_loss(&loss_plan(Broken::LostTail, seed), seed);
    assert_eq!(violations, []);
}

/// The same engine, with a core that takes commits without a check.
#[test]
fn a_core_that_takes_commits_unchecked_is_caught_by_the_checker() {
    let defect = Some(Defect::TakesUnchecked);
    let is_lost = |violation: &Violation| matches!(violation, Violation::Lost { .. });
    let is_caught = |seed| {
        let plan = Plan { defect, ..loss_plan(Broken::ReplacedTail, seed) };
        violations_after_a_loss(&plan, seed).iter().any(is_lost)
    };
    assert!((0..20).any(is_caught));
}

#[test]
fn a_broken_core_is_caught_by_the_checker() {
    use Defect::{
        BelievesLostAnswers, DoubtIsAbsence, DoubtIsSuccess, IgnoresConditions, WrongOffsets,
    };
    let defects =
        [BelievesLostAnswers, DoubtIsAbsence, DoubtIsSuccess, IgnoresConditions, WrongOffsets];
    for defect in defects {
        let caught = seeds(60).any(|seed| {
            let mut plan = Plan { defect: Some(defect), ..plain_plan(3) };
            // Doubts need an engine that is away for longer than callers wait.
            if matches!(defect, DoubtIsAbsence | DoubtIsSuccess) {
                plan = Plan { defect: Some(defect), ..away_plan() };
            }
            if defect == BelievesLostAnswers {
                plan.faults = Faults { lost_entries: 30, ..Faults::none() };
            }
            !run(&plan, seed).1.is_empty()
        });
        assert!(caught, "{defect:?} is not caught");
    }
}

/// A plan for an engine that is away for longer than callers wait, so that they are in doubt.
fn away_plan() -> Plan {
    let faults = Faults { lost_answers: 60, failed_reads: 98, ..Faults::none() };
    Plan { faults, appends: 150, ..plain_plan(2) }
}

/// The same checks find nothing in the same plans without the defect.
#[test]
fn the_plans_of_the_broken_cores_are_quiet_without_the_defect() {
    for seed in seeds(60) {
        let lossy = Faults { lost_entries: 30, ..Faults::none() };
        for plan in [plain_plan(3), away_plan(), Plan { faults: lossy, ..plain_plan(3) }] {
            let (outcome, violations) = run(&plan, seed);
            assert_eq!(violations, [], "seed {seed}: {plan:?}");
            assert!(outcome.settled, "seed {seed}: {plan:?}");
        }
    }
}

/// A plan for an engine that loses its end, and an operator who repairs that.
fn repair_plan(seed: u64) -> Plan {
    let mut random = Random::new(seed ^ 0x0e_90c4);
    let any = any_plan(seed);
    let operator = if random.chance(70) { Operator::StopsAll } else { Operator::StopsNone };
    // An engine that lost entries has no entries under way that arrive after the repair, as long as processes stopped.
    let faults = Faults { accepts_everything: false, full: 0, ..any.faults };
    let faults = if random.chance(30) { Faults::none() } else { faults };
    Plan { faults, broken: Some(Broken::LostTail), operator: Some(operator), ..any }
}

/// Checks a run in which the record lost its end and an operator repaired it.
fn check_repair(plan: &Plan, seed: u64) -> Outcome {
    let (mut outcome, violations) = run(plan, seed);
    let divergences = &outcome.divergences;
    assert!(outcome.settled, "seed {seed}: {divergences:?} {:?} {plan:?}", outcome.repairs);
    let log = events(&outcome.record);
    for replica in &outcome.replicas {
        let same = replica.events.iter().zip(&log).take_while(|(own, event)| own == event).count();
        let heads = (replica.events.len(), same);
        let last = replica.position();
        let text = || format!("seed {seed}: {:?} {last:?} {plan:?}", outcome.repairs);
        assert_eq!(heads, (log.len(), log.len()), "all have one log: {}", text());
    }
    let stops = plan.operator == Some(Operator::StopsAll);
    if outcome.repairs.set_aside == 0 && !plan.ends {
        // What was acknowledged was in a replica, and is in the record again.
        assert_eq!(violations, [], "seed {seed}: {plan:?}");
    } else if stops {
        // What was appended before the last repair may be lost. What came after it is not.
        let time = outcome.repairs.time;
        outcome.history.observations.retain(|seen| seen.time > time);
        for operation in &mut outcome.history.operations {
            if operation.began <= time {
                operation.told = Told::InDoubt;
            }
        }
        let violations = check(&outcome.history, &log);
        assert_eq!(violations, [], "seed {seed}: {plan:?}");
    }
    outcome
}

/// An operator heals the record, or gives up what it lost. Either way all replicas have one log again, and a healed
/// record has everything that was acknowledged.
#[test]
fn a_record_that_lost_its_end_is_repaired() {
    let (mut healed, mut epochs, mut runs) = (0, 0, 0);
    for seed in seeds(300) {
        let repairs = check_repair(&repair_plan(seed), seed).repairs;
        healed += u64::from(repairs.healed > 0);
        epochs += u64::from(repairs.epochs > 0);
        runs += 1;
    }
    if runs > 100 {
        assert!(healed * 10 > runs && epochs * 20 > runs, "{healed} healed, {epochs} epochs");
    }
}

/// In these runs, slots behind a process's last commit had void entries, which were lost, and other entries came there;
/// a late copy of a commit came to the slot of the original; and a record ended before the last void entry.
#[test]
fn entries_that_took_the_place_of_others_are_noticed() {
    for seed in [0, 30, 437, 1_076] {
        check_repair(&repair_plan(seed), seed);
    }
}

/// In this run, a process has to read void entries again more than once in an attempt.
#[test]
fn void_entries_are_read_again_until_they_fit() {
    check_repair(&repair_plan(65_425), 65_425);
}

/// In this run, an answer with the slot of another entry let a commit land there, after entries were read again.
#[test]
fn an_answer_with_a_slot_that_was_read_lets_nothing_land() {
    let (outcome, violations) = run(&any_plan(1_478), 1_478);
    assert_eq!(violations, []);
    assert!(outcome.divergences.iter().all(Option::is_none), "{:?}", outcome.divergences);
}
