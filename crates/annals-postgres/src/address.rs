//! The URL of a record: `postgres://USER@HOST,HOST,…/DATABASE?store=NAME`.

use std::net::IpAddr;
use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// The longest name of a store, in bytes. A channel for notifications has the name, and `PostgreSQL` cuts names off at
/// 63 bytes.
const MAX_STORE_BYTES: usize = 48;

/// Why a connection to a record cannot be set up. Nothing was sent to a server yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a record.
    #[error("{0}; right is, for example, postgres://app@db1,db2,db3/app?store=shop")]
    Url(String),
    /// The URL has a password.
    #[error(
        "the URL has a password, and URLs show in lists of processes and in logs: \
         set the variable PGPASSWORD, or use PostgresOptions::password_file"
    )]
    PasswordInUrl,
    /// The file with the password cannot be read.
    #[error("the password file {} cannot be read: {error}", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// The certificates that the connection should trust cannot be read.
    #[error("the certificates cannot be read: {0}")]
    Certificates(String),
    /// The system gives no thread.
    #[error("the thread for the connection does not start: {0}")]
    Thread(std::io::Error),
}

/// A URL, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// How each of the servers is reached, in the order of the URL.
    pub(crate) servers: Vec<Config>,
    pub(crate) store: String,
    /// The file with the certificates to trust; none for those of the system.
    pub(crate) root_certificates: Option<PathBuf>,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let wrong = |what: &str| ConnectError::Url(what.to_owned());
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong("the URL does not begin with postgres://"));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut store, mut root_certificates, mut has_ssl_mode) = (None, None, false);
        let mut others = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("store", name)) => store = Some(name.to_owned()),
                Some(("sslrootcert", path)) => root_certificates = Some(PathBuf::from(path)),
                Some(("host" | "hostaddr" | "port" | "target_session_attrs", _)) => {
                    return Err(wrong("servers and ports stand before the name of the database"));
                }
                _ => {
                    has_ssl_mode |= parameter.starts_with("sslmode=");
                    others.push(parameter);
                }
            }
        }
        let store = store.ok_or_else(|| wrong("the URL has no ?store=NAME"))?;
        check_store(&store)?;
        let (before, hosts, behind) = split_hosts(base);
        let mut servers = Vec::new();
        for host in hosts.split(',') {
            servers.push(config(&format!("{before}{host}{behind}?{}", others.join("&")))?);
        }
        if servers.iter().any(|server| server.get_password().is_some()) {
            return Err(ConnectError::PasswordInUrl);
        }
        if servers.iter().any(|server| server.get_hosts().is_empty()) {
            return Err(wrong("the URL names no host"));
        }
        // Few servers have a certificate for a loopback address. Connections over a network are always encrypted.
        let is_here = servers.iter().flat_map(Config::get_hosts).all(is_loopback);
        for server in &mut servers {
            if !has_ssl_mode {
                server.ssl_mode(if is_here { SslMode::Disable } else { SslMode::Require });
            }
            server.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self { servers, store, root_certificates })
    }

    /// Returns the name of the channel on which writers notify each other.
    pub(crate) fn channel(&self) -> String {
        format!("annals:{}", self.store)
    }
}

/// Splits the part of a URL before the `?` around its hosts; a URL of `PostgreSQL` may have several.
fn split_hosts(base: &str) -> (&str, &str, &str) {
    let start = base.find("://").map_or(0, |at| at + 3);
    let end = base[start..].find('/').map_or(base.len(), |at| start + at);
    let hosts = base[start..end].rfind('@').map_or(start, |at| start + at + 1);
    (&base[..hosts], &base[hosts..end], &base[end..])
}

fn config(url: &str) -> Result<Config, ConnectError> {
    url.parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        ConnectError::Url(format!("{error}{}", cause.unwrap_or_default()))
    })
}

fn check_store(store: &str) -> Result<(), ConnectError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=MAX_STORE_BYTES).contains(&store.len()) && store.bytes().all(is_allowed) {
        return Ok(());
    }
    Err(ConnectError::Url(format!(
        "the store's name {store:?} is not 1 to {MAX_STORE_BYTES} of the characters A–Z a–z 0–9 - _ ."
    )))
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, ConnectError};
    use tokio_postgres::config::SslMode;

    fn refused(url: &str) -> String {
        Address::parse(url).map(drop).expect_err(url).to_string()
    }

    #[test]
    fn a_url_is_taken_apart() {
        let address =
            Address::parse("postgres://app@db1,db2:5433/app?store=shop&connect_timeout=3")
                .expect("a right URL");
        assert_eq!((address.store.as_str(), address.servers.len()), ("shop", 2));
        assert_eq!(address.servers[1].get_ssl_mode(), SslMode::Require);
        assert_eq!(address.channel(), "annals:shop");
        let ports: Vec<_> =
            address.servers.iter().map(|server| server.get_ports().to_vec()).collect();
        assert_eq!(ports, [vec![5432], vec![5433]]);
        let mixed =
            Address::parse("postgres://app@localhost,db2/app?store=s").expect("a right URL");
        assert_eq!(mixed.servers[0].get_ssl_mode(), SslMode::Require);
        let here = Address::parse("postgres://app@127.0.0.1,localhost/app?store=shop")
            .expect("a right URL");
        assert_eq!(here.servers[0].get_ssl_mode(), SslMode::Disable);
        let forced =
            Address::parse("postgres://app@db1/app?store=s&sslmode=disable&sslrootcert=ca.pem");
        let forced = forced.expect("a right URL");
        assert_eq!(forced.servers[0].get_ssl_mode(), SslMode::Disable);
        assert_eq!(forced.root_certificates.as_deref(), Some("ca.pem".as_ref()));
    }

    #[test]
    fn a_wrong_url_is_refused_with_a_right_one() {
        for (url, part) in [
            ("nats://n1/shop", "does not begin with postgres://"),
            ("postgres://app@db1/app", "has no ?store=NAME"),
            ("postgres://app@db1/app?store=", "the store's name \"\""),
            ("postgres://app@db1/app?store=a%20b", "the store's name \"a%20b\""),
            ("postgres://app@db1:99999999/app?store=s", "port"),
            ("postgres://app@db1/app?store=s&sslmod=disable", "sslmod"),
            ("postgres://app@localhost/app?store=s&hostaddr=10.0.0.5", "servers and ports"),
            ("postgres:///app?store=s", "names no host"),
        ] {
            let text = refused(url);
            assert!(text.contains(part) && text.contains("?store=shop"), "{url}: {text}");
        }
        let secret = Address::parse("postgres://app:hidden@db1/app?store=s");
        let text = match secret {
            Err(error @ ConnectError::PasswordInUrl) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(!text.contains("hidden") && text.contains("PGPASSWORD"), "{text}");
    }
}
