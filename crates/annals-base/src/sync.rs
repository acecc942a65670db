//! The atomics and the `Arc` that the protocol is built on: the standard library's, or loom's when loom checks it.

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicPtr, AtomicUsize, Ordering},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc,
    atomic::{AtomicPtr, AtomicUsize, Ordering},
};
