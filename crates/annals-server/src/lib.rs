//! A server for an annals store: other languages and machines append to it, read it and follow it.
#![forbid(unsafe_code)]

mod access;
mod audit;
mod cursors;
mod dcb;
mod error;
mod event;
mod fault;
mod following;
mod gate;
mod http_face;
mod limits;
mod listen;
mod pages;
mod server;
mod shared;

pub use error::ServeError;
pub use event::WireEvent;
pub use limits::Limits;
pub use server::{Handle, Running, Server};
