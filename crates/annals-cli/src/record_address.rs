//! The address of a record, and the directory of this process's replica of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The parameter of an address that limits the time of an append. It is for this command, and no engine sees it.
const APPEND_TIMEOUT: &str = "append_timeout";
/// The largest value of the parameter, in seconds.
const MAX_APPEND_SECONDS: u64 = 86_400;

/// An engine that stores records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Nats,
}

/// Each engine with the beginnings of its addresses.
const SCHEMES: [(&str, Engine); 4] = [
    ("postgres://", Engine::Postgres),
    ("postgresql://", Engine::Postgres),
    ("nats://", Engine::Nats),
    ("tls://", Engine::Nats),
];

impl Engine {
    /// Returns the engine's name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Nats => "NATS JetStream",
        }
    }

    /// Returns the environment variable that has the password.
    pub(crate) fn password_variable(self) -> &'static str {
        match self {
            Self::Postgres => "PGPASSWORD",
            Self::Nats => "NATS_PASSWORD",
        }
    }

    /// Returns the feature of this crate with which the engine is built in.
    #[cfg(not(all(feature = "rocksdb", feature = "postgres", feature = "nats")))]
    pub(crate) fn feature(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Nats => "nats",
        }
    }
}

/// The address of a record, without a password, and the directory of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordAddress {
    engine: Engine,
    url: String,
    /// The address without the parameters that are for this command.
    engine_url: String,
    append_timeout: Option<Duration>,
    replica: PathBuf,
}

impl RecordAddress {
    /// Parses an argument. Returns `None` if it is not an address but a path.
    pub(crate) fn parse(argument: &str) -> Option<Result<Self, String>> {
        let (scheme, _) = argument.split_once("://")?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            || !scheme.bytes().all(is_scheme)
        {
            return None;
        }
        let found = SCHEMES.iter().find(|(beginning, _)| argument.starts_with(beginning));
        let Some((_, engine)) = found else {
            return Some(Err(format!(
                "records are at addresses that begin with postgres:// or nats://; for a directory of that name, write ./{scheme}:…"
            )));
        };
        if without_password(argument) != argument {
            let variable = engine.password_variable();
            return Some(Err(format!(
                "the address has a password, and arguments show in lists of processes and in logs; leave it out, and \
                 set the variable {variable}"
            )));
        }
        let (engine_url, append_timeout) = match without_append_timeout(argument) {
            Ok(found) => found,
            Err(problem) => return Some(Err(problem)),
        };
        let (url, replica) = (argument.to_owned(), PathBuf::new());
        Some(Ok(Self { engine: *engine, url, engine_url, append_timeout, replica }))
    }

    /// Sets the directory of the replica.
    pub(crate) fn set_replica(&mut self, directory: PathBuf) {
        self.replica = directory;
    }

    /// Returns the address as an argument in a command line: a shell would take its `&` and `?` for its own.
    #[cfg(feature = "replicated")]
    pub(crate) fn argument(&self) -> String {
        format!("'{}'", self.url.replace('\'', "'\\''"))
    }

    /// Returns what to change in the address for the record of another log.
    #[cfg(feature = "replicated")]
    pub(crate) fn how_to_name_another(&self) -> &'static str {
        match self.engine {
            Engine::Postgres => "another ?store=NAME",
            Engine::Nats => "another NAME at the end of nats://HOST/NAME",
        }
    }

    /// Returns the engine.
    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// Returns the address as the engine takes it.
    #[cfg(feature = "replicated")]
    pub(crate) fn engine_url(&self) -> &str {
        &self.engine_url
    }

    /// Returns how long an append may take, if the address says so.
    #[cfg(feature = "replicated")]
    pub(crate) fn append_timeout(&self) -> Option<Duration> {
        self.append_timeout
    }

    /// Returns the directory of the replica. It is empty if the command needs none and was given none.
    pub(crate) fn replica(&self) -> &Path {
        &self.replica
    }
}

/// Takes the parameter `append_timeout` out of an address. Returns the rest, and the time.
fn without_append_timeout(url: &str) -> Result<(String, Option<Duration>), String> {
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let (mut others, mut found) = (Vec::new(), None);
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name != APPEND_TIMEOUT {
            others.push(parameter);
            continue;
        }
        let seconds =
            value.parse().ok().filter(|seconds| (1..=MAX_APPEND_SECONDS).contains(seconds));
        let Some(seconds) = seconds else {
            return Err(format!(
                "{APPEND_TIMEOUT} is a whole number of seconds from 1 to {MAX_APPEND_SECONDS}, as in \
                 {APPEND_TIMEOUT}=60, and not {value:?}"
            ));
        };
        if found.replace(Duration::from_secs(seconds)).is_some() {
            return Err(format!("the address has {APPEND_TIMEOUT} twice"));
        }
    }
    let rest =
        if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
    Ok((rest, found))
}

impl fmt::Display for RecordAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Returns a text with the passwords of all addresses in it replaced: `postgres://app:secret@db1` and
/// `?password=secret`.
pub(crate) fn without_password(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = behind.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(behind.len());
        let user = behind[..end].rfind('@').map(|at| &behind[..at]);
        rest = behind;
        if let Some((name, password)) = user.and_then(|user| user.split_once(':')) {
            clean.push_str(name);
            clean.push_str(":***");
            rest = &behind[name.len() + 1 + password.len()..];
        }
    }
    clean.push_str(rest);
    for begin in ["?password=", "&password="] {
        let mut from = 0;
        while let Some(at) = clean[from..].find(begin) {
            from += at + begin.len();
            let is_end = |c: char| c.is_whitespace() || c == '&' || c == '\'';
            let end = clean[from..].find(is_end).map_or(clean.len(), |length| from + length);
            clean.replace_range(from..end, "***");
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_known_engine_and_everything_else_is_a_path() {
        for url in ["postgres://app@db1,db2/app?store=shop", "postgresql://db1/app?store=shop"] {
            let address = RecordAddress::parse(url).unwrap().unwrap();
            assert_eq!((address.engine(), &*address.to_string()), (Engine::Postgres, url));
        }
        let address = RecordAddress::parse("nats://app@n1,n2,n3/shop").unwrap().unwrap();
        assert_eq!(address.engine(), Engine::Nats);
        for path in ["my.store", "./postgres://a", "/a/b://c", "postgres:/a", "1://a", "://a", ""] {
            assert_eq!(RecordAddress::parse(path), None, "{path}");
        }
        let refused = RecordAddress::parse("mysql://db1/app").unwrap().unwrap_err();
        assert!(refused.contains("begin with postgres://"), "{refused}");
    }

    #[test]
    fn an_address_may_limit_the_time_of_an_append() {
        let minute = Some(Duration::from_secs(60));
        for (url, rest, time) in [
            (
                "postgres://db1/app?store=s&append_timeout=60&sslmode=disable",
                "postgres://db1/app?store=s&sslmode=disable",
                minute,
            ),
            ("postgres://db1/app?append_timeout=60&store=s", "postgres://db1/app?store=s", minute),
            ("nats://n1/shop?append_timeout=60", "nats://n1/shop", minute),
            ("nats://n1/shop?replicas=1", "nats://n1/shop?replicas=1", None),
            ("nats://n1/shop", "nats://n1/shop", None),
        ] {
            let address = RecordAddress::parse(url).unwrap().unwrap();
            assert_eq!(
                (address.engine_url.as_str(), address.append_timeout),
                (rest, time),
                "{url}"
            );
            assert_eq!(address.to_string(), url);
        }
        for value in [
            "",
            "=",
            "=0",
            "=-1",
            "=1.5",
            "=60s",
            "=86401",
            "=99999999999999999999",
            "=60&append_timeout=60",
        ] {
            let url = format!("postgres://db1/app?store=s&append_timeout{value}");
            let refused = RecordAddress::parse(&url).unwrap().unwrap_err();
            assert!(refused.contains("append_timeout"), "{url}: {refused}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_refused() {
        for (url, variable) in [
            ("postgres://app:secret@db1/app?store=shop", "PGPASSWORD"),
            ("postgres://app:@db1/app?store=shop", "PGPASSWORD"),
            ("postgres://app@db1/app?store=shop&password=secret", "PGPASSWORD"),
            ("nats://app:secret@n1/shop", "NATS_PASSWORD"),
        ] {
            let refused = RecordAddress::parse(url).unwrap().unwrap_err();
            assert!(refused.contains(variable) && !refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn passwords_are_replaced_in_any_text() {
        for (text, clean) in [
            ("no address: a@b:c", "no address: a@b:c"),
            ("'postgres://a:b:c@d@h/x?y=1' is", "'postgres://a:***@h/x?y=1' is"),
            ("a://b:c@d e://f:g@h", "a://b:***@d e://f:***@h"),
            ("a://b@c:5432,d:5433/e", "a://b@c:5432,d:5433/e"),
            ("'a://b/c?password=d&e=f'", "'a://b/c?password=***&e=f'"),
            ("'a://b/c?e=f&password=d'", "'a://b/c?e=f&password=***'"),
        ] {
            assert_eq!(without_password(text), clean);
        }
    }
}
