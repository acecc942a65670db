//! The names under which a server may be called, and the web pages that may call it. Without these checks, any page in
//! a browser on this machine could read and write the log.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Request, Uri};

use crate::error::ServeError;
use crate::fault::{Fault, Kind};

/// The names and pages that a server takes requests for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    pub(crate) names: Vec<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) addresses: Vec<SocketAddr>,
    /// Whether clients reach the server over TLS only. A page without TLS is then another server's.
    pub(crate) tls: bool,
}

impl Hosts {
    /// Returns an error if a name or an origin can never be that of a request.
    pub(crate) fn check_settings(&self) -> Result<(), ServeError> {
        if let Some(name) = self.names.iter().find(|name| !is_name(name)) {
            return Err(ServeError::HostName { name: name.clone() });
        }
        match self.origins.iter().find(|origin| !is_origin(origin)) {
            Some(origin) => Err(ServeError::Origin { origin: origin.clone() }),
            None => Ok(()),
        }
    }

    /// Returns an error if the request is for another host, or from a web page of another. The inspector, for which
    /// `is_page` is true, takes requests from its own pages only: a browser adds the inspector's cookie to requests
    /// from other ports and subdomains.
    pub(crate) fn check<B>(&self, request: &Request<B>, is_page: bool) -> Result<(), Fault> {
        let headers = request.headers();
        let host = authority(request.uri(), headers).ok_or_else(|| {
            Fault::new(Kind::UnknownHost, "the request names no host; send the header Host")
        })?;
        if !self.knows(name_of(host)) {
            let message = format!(
                "this server is not {:?}; it takes requests for localhost, its own addresses and the names that its \
                 option --host-name adds",
                name_of(host)
            );
            return Err(Fault::new(Kind::UnknownHost, message));
        }
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or_default();
        if self.is_own(origin, host) || (!is_page && self.allows_origin(origin)) {
            return Ok(());
        }
        let message = if is_page {
            format!(
                "pages of {origin:?} may not use the inspector, which serves its own pages only"
            )
        } else {
            format!(
                "pages of {origin:?} may not use this server; --cors-origin allows the pages of an origin"
            )
        };
        Err(Fault::new(Kind::ForeignOrigin, message))
    }

    /// Returns whether an origin is the server itself, under the host of the request. A server without TLS may be
    /// behind a proxy that has it.
    fn is_own(&self, origin: &str, host: &str) -> bool {
        let plain = origin.strip_prefix("http://").filter(|_| !self.tls);
        let own = plain.or_else(|| origin.strip_prefix("https://"));
        own.is_some_and(|own| own.eq_ignore_ascii_case(host))
    }

    /// Returns whether the pages of an origin of another host may use this server, the inspector apart.
    pub(crate) fn allows_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == origin)
    }

    fn knows(&self, name: &str) -> bool {
        if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
            let own = |listening: &SocketAddr| {
                listening.ip() == address || listening.ip().is_unspecified()
            };
            let named = |known: &String| known.parse() == Ok(address);
            return address.is_loopback()
                || self.addresses.iter().any(own)
                || self.names.iter().any(named);
        }
        name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Returns whether a text is the name or the address of a host, without a port.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.parse::<IpAddr>().is_ok() || !text.is_empty() && text.bytes().all(is_part)
}

/// Returns whether a text is an origin as browsers send it: without a path, in lower case, and with the port only if it
/// is not that of the scheme. Programs with pages of their own have other schemes, such as `tauri://localhost`.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
        return false;
    }
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let name = name_of(host);
    let port = &host[name.len()..];
    let is_address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    let is_port = |port: &str| {
        port.parse::<u16>().is_ok_and(|number| format!(":{number}") == format!(":{port}"))
    };
    (is_address || is_name(name) && name.parse::<Ipv6Addr>().is_err())
        && !text.bytes().any(|byte| byte.is_ascii_uppercase())
        && (port.is_empty() || port != default_port)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Returns the host of a request, with its port: in HTTP/2 from the URI, in HTTP/1.1 from the header.
fn authority<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(HOST)?.to_str().ok(),
    }
}

/// Returns a host without its port.
pub(crate) fn name_of(host: &str) -> &str {
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.rfind(':').unwrap_or(host.len()),
    };
    &host[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &Hosts, host: &str, origin: Option<&str>) -> Result<(), Kind> {
        let mut request = Request::builder().header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        hosts.check(&request.body(()).unwrap(), false).map_err(|fault| fault.kind)
    }

    #[test]
    fn only_known_hosts_and_their_pages_are_served() {
        let hosts = Hosts {
            names: vec!["log.example".into()],
            origins: vec!["https://shop.example".into()],
            addresses: vec!["10.0.0.7:1".parse().unwrap()],
            tls: false,
        };
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:9",
            "[::1]:5",
            "[::1]",
            "10.0.0.7",
            "log.example:1",
        ] {
            assert_eq!(check(&hosts, host, None), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.8",
            "",
            "[::1",
            "127.0.0.1.evil.example",
        ] {
            assert_eq!(check(&hosts, host, None), Err(Kind::UnknownHost), "{host}");
        }
        for origin in ["http://localhost:1", "https://localhost:1", "https://shop.example"] {
            assert_eq!(check(&hosts, "localhost:1", Some(origin)), Ok(()), "{origin}");
        }
        for origin in ["http://localhost:2", "null", "https://evil.example", "localhost:1", ""] {
            assert_eq!(
                check(&hosts, "localhost:1", Some(origin)),
                Err(Kind::ForeignOrigin),
                "{origin}"
            );
        }
    }

    #[test]
    fn an_address_behind_which_the_server_is_can_be_named() {
        let hosts =
            Hosts { names: vec!["203.0.113.7".into(), "2001:db8::7".into()], ..Hosts::default() };
        for host in ["203.0.113.7", "203.0.113.7:80", "[2001:db8::7]:80"] {
            assert_eq!(check(&hosts, host, None), Ok(()), "{host}");
        }
        assert_eq!(check(&hosts, "203.0.113.8", None), Err(Kind::UnknownHost));
    }

    #[test]
    fn settings_that_no_request_matches_are_refused() {
        for name in ["log.example", "LOG", "a_b-c", "203.0.113.7", "::1"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "log.example:1", "[::1]", "https://log.example", "a/b", "a b", "*", "é"] {
            assert!(!is_name(name), "{name}");
        }
        for origin in [
            "tauri://localhost",
            "chrome-extension://abcdefgh",
            "https://shop.example",
            "http://shop.example:443",
            "http://localhost:3000",
            "http://10.0.0.7:8080",
            "https://[2001:db8::7]:8443",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for origin in [
            "",
            "null",
            "*",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://shop.example:",
            "https://shop.example:080",
            "https://shop.example:99999",
            "https://Shop.example",
            "HTTPS://shop.example",
            "https://a@shop.example",
            "https://2001:db8::7",
        ] {
            assert!(!is_origin(origin), "{origin}");
        }
    }

    #[test]
    fn a_page_without_tls_is_not_one_of_a_server_with_tls() {
        let hosts = Hosts { tls: true, ..Hosts::default() };
        assert_eq!(check(&hosts, "localhost:1", Some("https://localhost:1")), Ok(()));
        let plain = check(&hosts, "localhost:1", Some("http://localhost:1"));
        assert_eq!(plain, Err(Kind::ForeignOrigin));
    }
}
