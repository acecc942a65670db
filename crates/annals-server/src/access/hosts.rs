//! The names under which a server may be called, and the web pages that may call it. Without these checks, any page in
//! a browser on this machine could read and write the log.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Request, Uri};

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
            return address.is_loopback() || self.addresses.iter().any(own);
        }
        name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
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
    fn a_page_without_tls_is_not_one_of_a_server_with_tls() {
        let hosts = Hosts { tls: true, ..Hosts::default() };
        assert_eq!(check(&hosts, "localhost:1", Some("https://localhost:1")), Ok(()));
        let plain = check(&hosts, "localhost:1", Some("http://localhost:1"));
        assert_eq!(plain, Err(Kind::ForeignOrigin));
    }
}
