//! Tests of references that keep their owner alive.

#![cfg(not(loom))]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use annals_base::{SharedRef, keep, segmented_list};

const fn is_send_and_sync<T: Send + Sync>() {}
const _: () = is_send_and_sync::<SharedRef<String>>();

/// An owner that counts its drops.
struct Owner(Vec<String>, Arc<AtomicUsize>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

fn owner() -> (Arc<Owner>, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    let texts = (0..100).map(|n| n.to_string()).collect();
    (Arc::new(Owner(texts, Arc::clone(&drops))), drops)
}

#[test]
fn the_owner_lives_as_long_as_any_reference() {
    let (owner, drops) = owner();
    let mut items: Vec<SharedRef<String>> =
        keep(&owner, |owner, keeper| owner.0.iter().map(|text| keeper.share(text)).collect());
    drop(owner);
    for (n, item) in items.iter().enumerate() {
        assert_eq!(**item, n.to_string());
    }
    let last = items.swap_remove(37);
    drop(items);
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    assert_eq!(*last, "37");
    drop(last);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn references_that_are_dropped_inside_the_call_free_nothing_early() {
    let (owner, drops) = owner();
    let left = keep(&owner, |owner, keeper| {
        for text in &owner.0 {
            drop(keeper.share(text));
        }
        keeper.share(&owner.0[5])
    });
    keep(&owner, |owner, keeper| drop(keeper.share(&owner.0[0])));
    assert_eq!(keep(&owner, |owner, _: &mut annals_base::Keeper<'_, String>| owner.0.len()), 100);
    drop(owner);
    assert_eq!((left.as_str(), drops.load(Ordering::SeqCst)), ("5", 0));
    drop(left);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn references_go_to_other_threads_and_outlive_a_list_that_grows() {
    let (mut writer, list) = segmented_list();
    for n in 0..64_u64 {
        writer.push(n.to_string());
    }
    let list = Arc::new(list);
    let (send, received) = mpsc::channel::<(u64, SharedRef<String>)>();
    let threads: Vec<_> = (0..2_u64)
        .map(|_| {
            let (list, send) = (Arc::clone(&list), send.clone());
            thread::spawn(move || {
                keep(&list, |list, keeper| {
                    for (n, text) in (0..).zip(list.range(..64)) {
                        send.send((n, keeper.share(text))).unwrap();
                    }
                });
            })
        })
        .collect();
    drop((send, list));
    for n in 64..2_000_u64 {
        writer.push(n.to_string());
    }
    for thread in threads {
        thread.join().unwrap();
    }
    drop(writer);
    let mut count = 0;
    for (n, text) in received {
        assert_eq!(*text, n.to_string());
        count += 1;
    }
    assert_eq!(count, 128);
}

#[test]
fn a_panic_in_the_call_leaks_nothing() {
    let (owner, drops) = owner();
    let calling = Arc::clone(&owner);
    let panicked = thread::spawn(move || {
        keep(&calling, |owner, keeper| {
            let _held = keeper.share(&owner.0[0]);
            std::panic::resume_unwind(Box::new("in the call"));
        })
    });
    assert!(panicked.join().is_err());
    drop(owner);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}
