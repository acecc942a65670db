//! Ordinals: how many events have a name, and which is the nth.

use annals::{Backend, NameKind};

use super::tools::{Store, fresh, nths};
use crate::Random;
use crate::Subject;
use crate::check::{Check, Outcome, same};

const COUNT: u64 = 700;

pub(super) fn ordinals_are_those_of_a_walk<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    same("the revision in an empty log", store.revision("digit:0")?, 0)?;
    same(
        "the first event of a tag in an empty log",
        store.nth(NameKind::Tag, "digit:0", 0)?,
        None,
    )?;
    let mut random = Random::new(17);
    let mut head = 0;
    while head < COUNT {
        let end = (head + 1 + random.below(40)).min(COUNT);
        store.append_batch(nths(head..end))?;
        head = end;
        // Between the appends, so that an index that grows is asked too.
        check_name::<S>(&store, &mut random, NameKind::Tag, "digit:3", |n| n % 10 == 3)?;
    }
    check_name::<S>(&store, &mut random, NameKind::Tag, "number:512", |n| n == 512)?;
    check_name::<S>(&store, &mut random, NameKind::Tag, "number:0", |n| n == 0)?;
    check_name::<S>(&store, &mut random, NameKind::Tag, "type-1", |_| false)?;
    check_name::<S>(&store, &mut random, NameKind::Type, "type-1", |n| n % 3 == 1)?;
    check_name::<S>(&store, &mut random, NameKind::Type, "digit:3", |_| false)?;
    for bad in ["", "a\nb"] {
        let refused = store.revision(bad).is_err() && store.nth(NameKind::Type, bad, 0).is_err();
        same("whether a name that no event can have is refused", refused, true)?;
    }
    Ok(Outcome::Held)
}

/// Checks the count of random ranges and the offsets of all ordinals of a name. `has` says which events have it.
fn check_name<S: Subject + ?Sized>(
    store: &Store<S>,
    random: &mut Random,
    kind: NameKind,
    name: &str,
    has: impl Fn(u64) -> bool,
) -> Result<(), crate::check::CheckError> {
    let head = store.len();
    let with: Vec<u64> = (0..head).filter(|&n| has(n)).collect();
    same(&format!("the count of {name}"), store.count(kind, name, ..)?, with.len() as u64)?;
    for _ in 0..20 {
        let (start, end) = (random.below(head + 5), random.below(head + 5));
        let within = with.iter().filter(|&&n| (start..end).contains(&n)).count() as u64;
        let count = store.count(kind, name, start..end)?;
        same(&format!("the count of {name} in {start}..{end}"), count, within)?;
        let count = store.backend().count(kind, name, start..u64::MAX)?;
        let within = with.iter().filter(|&&n| n >= start).count() as u64;
        same(&format!("the count of {name} from {start}"), count, within)?;
    }
    for (n, &offset) in (0..).zip(&with) {
        same(&format!("event {n} of {name}"), store.nth(kind, name, n)?, Some(offset))?;
    }
    for n in [with.len() as u64, with.len() as u64 + 1, u64::from(u32::MAX), u64::MAX] {
        same(&format!("event {n} of {name}"), store.nth(kind, name, n)?, None)?;
    }
    Ok(())
}
