//! The accept loop of one address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::connection;
use crate::access::certificate::Certificate;
use crate::client::Client;
use crate::gate::pass::Counted;
use crate::shared::{Shared, draining};

/// The pause after a failure to accept, for example when the process has too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The time after which a silent connection is probed, the time between two probes, and the number of probes without an
/// answer after which the connection ends: after two minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_RETRIES: u32 = 4;

/// A bound address, and whether its clients need certificates if the server has an authority for them.
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) mutual: bool,
}

/// Accepts connections until the server drains, and then waits for those that are open.
pub(crate) async fn accept(
    listening: Listening,
    router: Router,
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
) {
    let Listening { listener, mutual } = listening;
    let unread_time = shared.limits.unread_time;
    let mut connections = JoinSet::new();
    let mut phase = shared.phase();
    loop {
        let accepted = tokio::select! {
            accepted = next(&listener, &permits, unread_time) => accepted,
            Some(_) = connections.join_next() => continue,
            () = draining(&mut phase) => break,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let (router, shared) = (router.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            let _permit = permit;
            let _open = (Counted::one("annals_connections"), shared.connected());
            handle(stream, peer, mutual, router, shared).await;
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Accepts the next connection, once there is a permit for it.
async fn next(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    unread_time: Option<Duration>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            watch_client(&stream, peer, unread_time);
            Some((stream, peer, permit))
        }
        Err(error) => {
            if !is_of_one_connection(&error) {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
            None
        }
    }
}

/// Lets the system find out that a client vanished without closing its connection, also while the server sends nothing.
/// The time for what was sent is not set by default: the system also ends a client that is there and reads slowly.
fn watch_client(stream: &TcpStream, peer: SocketAddr, unread_time: Option<Duration>) {
    if let Some(time) = unread_time
        && let Err(error) = set_unread_time(stream, time)
    {
        tracing::debug!(%peer, %error, "cannot set TCP_USER_TIMEOUT");
    }
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE)
        .with_interval(KEEP_ALIVE_INTERVAL)
        .with_retries(KEEP_ALIVE_RETRIES);
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&keep_alive) {
        tracing::debug!(%peer, %error, "cannot set TCP keep-alive");
    }
}

#[cfg(any(target_os = "android", target_os = "linux"))]
fn set_unread_time(stream: &TcpStream, time: Duration) -> io::Result<()> {
    // Less than 1 ms would be no time at all, and the system takes no more than these 24 days.
    let most = Duration::from_millis(i32::MAX as u64);
    let time = time.clamp(Duration::from_millis(1), most);
    SockRef::from(stream).set_tcp_user_timeout(Some(time))
}

#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn set_unread_time(_: &TcpStream, _: Duration) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns whether a failure is only of the connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

async fn handle(
    stream: TcpStream,
    peer: SocketAddr,
    mutual: bool,
    router: Router,
    shared: Arc<Shared>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    let Some(config) = shared.access.tls(mutual) else {
        return connection::serve(stream, router, shared, Client::at(peer, None)).await;
    };
    let mut phase = shared.phase();
    let handshake =
        tokio::time::timeout(shared.limits.header_time, TlsAcceptor::from(config).accept(stream));
    let handshake = tokio::select! {
        handshake = handshake => handshake,
        () = draining(&mut phase) => return,
    };
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "a TLS handshake failed");
            return;
        }
        Err(_) => {
            tracing::debug!(%peer, "a TLS handshake took too long");
            return;
        }
    };
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate =
        certificates.and_then(<[_]>::first).map(|certificate| Certificate::of(certificate));
    connection::serve(stream, router, shared, Client::at(peer, certificate)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_accepted_connection_is_probed_while_it_is_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let _client = TcpStream::connect(address).await.expect("connected");
        let permits = Arc::new(Semaphore::new(1));
        let time = Duration::from_secs(90);
        let (stream, ..) = next(&listener, &permits, Some(time)).await.expect("accepted");
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("the option"));
        assert_eq!(socket.tcp_keepalive_time().expect("the time"), KEEP_ALIVE);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().expect("the time"), Some(time));
    }
}
