//! Connections: the accept loop and the protocol of each connection.
//!
//! ```text
//!   accept   the loop of an address    connection   one connection    first_bytes   a client must begin in time
//! ```

pub(crate) mod accept;
mod connection;
mod first_bytes;
