//! Who may do what: hosts and pages, tokens, certificates, and the settings that are read again while the server runs.
//!
//! ```text
//!   access   who may do what, from the files    hosts         the names and the web pages that are served
//!   rights   what a client may do               tokens        the token file
//!   tls      the TLS files                      certificate   the name in a client's certificate
//!   sessions browsers that gave a token
//! ```

#[expect(clippy::module_inception, reason = "the folder is named after its main type")]
pub(crate) mod access;
pub(crate) mod certificate;
pub(crate) mod hosts;
pub(crate) mod rights;
pub(crate) mod sessions;
pub(crate) mod tls;
pub(crate) mod tokens;
