//! The cause in an error of a server or of a connection, and whether it stays until a person changes something.

use std::error::Error as _;

use annals_replicated::Cause;
use tokio_postgres::error::SqlState;

/// The message of tokio-postgres if the server asks for a password and the caller has none.
const NO_PASSWORD: &str = "password missing";

/// Returns the cause of a failure.
pub(crate) fn cause_of(error: &tokio_postgres::Error) -> Cause {
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    match error.as_db_error() {
        Some(answer) => {
            let text = match answer.hint() {
                Some(hint) => format!("{} ({hint})", answer.message()),
                None => answer.message().to_owned(),
            };
            if is_lasting(answer.code()) { Cause::lasting(text) } else { Cause::new(text) }
        }
        None if source == NO_PASSWORD => Cause::lasting(
            "the server asks for a password: set the variable PGPASSWORD, or give a file with the password",
        ),
        None if source.contains("invalid peer certificate") => Cause::lasting(format!(
            "the server's certificate is not trusted ({source}): name the certificates with sslrootcert=PATH in the URL"
        )),
        None if source.contains("server does not support TLS") => Cause::lasting(
            "the server does not support TLS, which connections to other machines use: switch TLS on at the server, or \
             off with sslmode=disable in the URL",
        ),
        None if source.is_empty() => Cause::new(error),
        None => Cause::new(format!("{error}: {source}")),
    }
}

/// Returns whether an answer stays the same until a person changes something: the user, the password, the database or
/// the user's rights.
fn is_lasting(code: &SqlState) -> bool {
    code.code().starts_with("28")
        || [SqlState::INVALID_CATALOG_NAME, SqlState::INSUFFICIENT_PRIVILEGE].contains(code)
}
