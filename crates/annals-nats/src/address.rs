//! The URL of a record: `nats://USER@HOST,HOST,…/NAME`.

use std::fmt;
use std::path::PathBuf;

use async_nats::ServerAddr;

/// The longest name of a record, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// The port of a server's monitoring endpoint, unless the URL has another one.
const MONITORING_PORT: u16 = 8_222;

/// Why a connection to a record cannot be set up. Nothing was sent to a server yet.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a record.
    #[error("{0}; right is, for example, nats://app@n1,n2,n3/shop")]
    Url(String),
    /// The URL has a password.
    #[error(
        "the URL has a password, and URLs show in lists of processes and in logs: \
         set the variable NATS_PASSWORD, or use JetStreamOptions::password_file"
    )]
    PasswordInUrl,
    /// A file with a password, a token or credentials cannot be read.
    #[error("the file {} cannot be used: {reason}", path.display())]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// The reason why it cannot be used.
        reason: String,
    },
    /// The certificates that the connection should trust cannot be read.
    #[error("the certificates cannot be read: {0}")]
    Certificates(String),
    /// The system gives no thread.
    #[error("the thread for the connection does not start: {0}")]
    Thread(String),
}

/// A text that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A URL, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// The servers, in the order of the URL. They have no user and no password.
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) user: Option<String>,
    /// The name of the record, and of its stream.
    pub(crate) name: String,
    /// Whether connections are encrypted although a server does not ask for it.
    pub(crate) requires_tls: bool,
    /// The file with the certificates to trust; none for those of the system.
    pub(crate) root_certificates: Option<PathBuf>,
    /// The file with the credentials of the user.
    pub(crate) credentials: Option<PathBuf>,
    /// The file with the credentials of a user of the system account.
    pub(crate) system_credentials: Option<PathBuf>,
    /// The monitoring endpoints: each a host and a port.
    pub(crate) monitors: Vec<(String, u16)>,
    /// The number of replicas of a new stream.
    pub(crate) replicas: Option<usize>,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let Some((scheme @ ("nats" | "tls"), rest)) = url.split_once("://") else {
            return Err(wrong("the URL does not begin with nats:// or tls://"));
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, name) =
            rest.split_once('/').ok_or_else(|| wrong("the URL has no /NAME of a record"))?;
        check_name(name)?;
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let user = login.map(parse_user).transpose()?;
        let servers = hosts.split(',').map(|host| parse_server(scheme, host));
        let mut address = Self {
            servers: servers.collect::<Result<Vec<_>, _>>()?,
            user,
            name: name.to_owned(),
            requires_tls: scheme == "tls",
            root_certificates: None,
            credentials: None,
            system_credentials: None,
            monitors: Vec::new(),
            replicas: None,
        };
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            address.parse_parameter(parameter)?;
        }
        if address.monitors.is_empty() {
            address.monitor(&MONITORING_PORT.to_string())?;
        }
        Ok(address)
    }

    fn parse_parameter(&mut self, parameter: &str) -> Result<(), ConnectError> {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = decode(value)?;
        match key {
            "rootcert" => self.root_certificates = Some(value.into()),
            "creds" => self.credentials = Some(value.into()),
            "system_creds" => self.system_credentials = Some(value.into()),
            "monitor" => value.split(',').try_for_each(|monitor| self.monitor(monitor))?,
            "replicas" => {
                let replicas = value.parse().ok().filter(|count| is_replicas(*count));
                let error = || wrong("the parameter replicas is not 1, 3 or 5");
                self.replicas = Some(replicas.ok_or_else(error)?);
            }
            _ => {
                let known = "rootcert, creds, system_creds, monitor and replicas";
                return Err(wrong(&format!(
                    "the parameter {key:?} is unknown (there are {known})"
                )));
            }
        }
        Ok(())
    }

    /// Adds a monitoring endpoint: `HOST:PORT`, or a port for each of the servers.
    pub(crate) fn monitor(&mut self, text: &str) -> Result<(), ConnectError> {
        if let Ok(port) = text.parse() {
            let hosts = self.servers.iter().map(|server| (server.host().to_owned(), port));
            self.monitors.extend(hosts);
            return Ok(());
        }
        let endpoint = text.rsplit_once(':').and_then(|(host, port)| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            (!host.is_empty() && !host.contains('/'))
                .then_some((host.to_owned(), port.parse().ok()?))
        });
        let error =
            || wrong(&format!("the monitoring endpoint {text:?} is not a port or HOST:PORT"));
        self.monitors.push(endpoint.ok_or_else(error)?);
        Ok(())
    }

    /// Returns the subject of the stream.
    pub(crate) fn commits(&self) -> String {
        format!("annals.{}.commits", self.name)
    }

    /// Returns the subject on which writers tell each other of new commits, and send hints.
    pub(crate) fn news(&self) -> String {
        format!("annals.{}.news", self.name)
    }
}

/// Returns whether a stream may have this number of replicas. An even number tolerates no more failures than the odd
/// one below it.
pub(crate) fn is_replicas(count: usize) -> bool {
    [1, 3, 5].contains(&count)
}

fn wrong(what: &str) -> ConnectError {
    ConnectError::Url(what.to_owned())
}

fn check_name(name: &str) -> Result<(), ConnectError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_allowed) {
        return Ok(());
    }
    Err(ConnectError::Url(format!(
        "the record's name {name:?} is not 1 to {MAX_NAME_BYTES} of the characters A–Z a–z 0–9 - _"
    )))
}

/// Parses the part before the `@`. No error shows it: it may have a password.
fn parse_user(user: &str) -> Result<String, ConnectError> {
    if user.contains(':') {
        return Err(ConnectError::PasswordInUrl);
    }
    if user.contains(['@', ',', '/']) {
        return Err(wrong(
            "the user stands once, before the first server, and @ : / , in its name as %40 %3A %2F %2C",
        ));
    }
    if user.is_empty() {
        return Err(wrong("the URL has an @ and no user before it"));
    }
    decode(user)
}

fn parse_server(scheme: &str, host: &str) -> Result<ServerAddr, ConnectError> {
    if host.is_empty() {
        return Err(wrong("the URL names no host, or has an empty one"));
    }
    if host.contains("//") || host.contains('#') {
        return Err(wrong("the servers stand behind one nats://, separated by commas"));
    }
    let server: ServerAddr = format!("{scheme}://{host}").parse().map_err(|error| {
        let text = format!("{error}");
        ConnectError::Url(format!("the server {host:?}: {}", text.to_lowercase()))
    })?;
    if server.host().is_empty() {
        return Err(wrong("the URL names no host, or has an empty one"));
    }
    Ok(server)
}

/// Replaces `%XX` by the byte that it stands for.
fn decode(text: &str) -> Result<String, ConnectError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte == b'%' {
            let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let digits =
                digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(
                decoded
                    .ok_or_else(|| wrong("a % is not followed by two digits; write it as %25"))?,
            );
            rest = &behind[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong("the URL is not UTF-8 where it has %"))
}

#[cfg(test)]
mod tests {
    use super::{Address, ConnectError};

    #[test]
    fn a_url_is_taken_apart() {
        let url = "nats://a%40b@n1,n2:5222,[::1]/shop?replicas=3&monitor=9222,m:80&creds=a%20b";
        let address = Address::parse(url).expect("a right URL");
        let servers: Vec<_> =
            address.servers.iter().map(|server| (server.host(), server.port())).collect();
        assert_eq!(servers, [("n1", 4222), ("n2", 5222), ("::1", 4222)]);
        assert_eq!((address.user.as_deref(), address.name.as_str()), (Some("a@b"), "shop"));
        let monitor = |host: &str, port| (host.to_owned(), port);
        let expected =
            [monitor("n1", 9222), monitor("n2", 9222), monitor("::1", 9222), monitor("m", 80)];
        assert_eq!(address.monitors, expected);
        assert_eq!((address.replicas, address.requires_tls), (Some(3), false));
        assert_eq!(address.credentials.as_deref(), Some("a b".as_ref()));
        assert_eq!(address.commits(), "annals.shop.commits");
        let plain = Address::parse("tls://n1/shop").expect("a right URL");
        assert_eq!((plain.user, plain.requires_tls), (None, true));
        assert_eq!(plain.monitors, [monitor("n1", 8222)]);
    }

    #[test]
    fn a_url_with_a_password_is_refused() {
        for url in [
            "nats://app:hidden@n1/shop",
            "tls://app:@n1/shop",
            "nats://a:hidden@n1,a:hidden@n2/shop",
        ] {
            let refused = Address::parse(url).map(drop).expect_err(url);
            assert!(matches!(refused, ConnectError::PasswordInUrl), "{url}: {refused}");
            let text = refused.to_string();
            assert!(text.contains("NATS_PASSWORD") && !text.contains("hidden"), "{url}: {text}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_with_a_right_one() {
        for (url, part) in [
            ("postgres://n1/shop", "does not begin with nats:// or tls://"),
            ("n1:4222/shop", "does not begin with nats:// or tls://"),
            ("nats://n1", "has no /NAME"),
            ("nats://n1/", "the record's name \"\""),
            ("nats://n1/a.b", "the record's name \"a.b\""),
            ("nats://n1/a/b", "the record's name \"a/b\""),
            ("nats:///shop", "names no host"),
            ("nats://n1,,n2/shop", "names no host, or has an empty one"),
            ("nats://n1:99999999/shop", "the server \"n1:99999999\""),
            ("nats://@n1/shop", "no user before it"),
            ("nats://hidden@n1,hidden@n2/shop", "stands once, before the first server"),
            ("nats://hidden%4@n1/shop", "followed by two digits"),
            ("nats://n1/shop?replicas=2", "not 1, 3 or 5"),
            ("nats://n1/shop?monitor=x", "the monitoring endpoint \"x\""),
            ("nats://n1/shop?tls=yes", "the parameter \"tls\" is unknown"),
        ] {
            let text = Address::parse(url).map(drop).expect_err(url).to_string();
            assert!(
                text.contains(part) && text.contains("nats://app@n1,n2,n3/shop"),
                "{url}: {text}"
            );
            assert!(!text.contains("hidden"), "{url}: {text}");
        }
    }
}
