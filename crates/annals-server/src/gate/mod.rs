//! What every request passes before a face sees it.
//!
//! ```text
//!   client   who sends it: the address, and the name of a token or certificate
//! ```

pub(crate) mod client;
