//! Proxies: one drops what connections send, and one cuts a connection behind a fence.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Starts a proxy to a port of this machine. Returns its own port, and a flag: the connections that are open when it is
/// set stay open, and nothing arrives on them. Later ones work.
pub(crate) fn dropping(to: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let drops = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&drops);
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let is_early = !flag.load(Ordering::SeqCst);
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            for (mut from, mut to) in [(client, server), back] {
                let flag = Arc::clone(&flag);
                thread::spawn(move || {
                    let mut buffer = vec![0; 64 << 10];
                    while let Ok(read @ 1..) = from.read(&mut buffer) {
                        let drops = is_early && flag.load(Ordering::SeqCst);
                        if !drops && to.write_all(&buffer[..read]).is_err() {
                            break;
                        }
                    }
                    if is_early && flag.load(Ordering::SeqCst) {
                        // The other side does not see that this one has ended.
                        std::mem::forget((from, to));
                    } else {
                        // Either may be closed already.
                        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    }
                });
            }
        }
    });
    (port, drops)
}

/// The uses of connections, each with the connection's number.
type Uses = Arc<Mutex<Vec<(u64, &'static str)>>>;

/// Starts a proxy to a port of this machine that cuts its first connection behind the answer to its first fence.
/// Returns its own port, and what connections were used for.
pub(crate) fn cutting_behind_a_fence(to: u16) -> (u16, Uses) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let uses = Uses::default();
    let noted = Arc::clone(&uses);
    thread::spawn(move || {
        for (client, number) in listener.incoming().zip(0..) {
            let mut client = client.unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let (mut from_client, mut to_server) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            let (noted, fences) = (Arc::clone(&noted), Arc::new(AtomicU64::new(0)));
            let seen = Arc::clone(&fences);
            thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(read @ 1..) = from_client.read(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..read]);
                    for (part, usage) in [("emit_message", "fence"), ("number >=", "read")] {
                        if text.contains(part) {
                            noted.lock().unwrap().push((number, usage));
                            seen.fetch_add(u64::from(usage == "fence"), Ordering::SeqCst);
                        }
                    }
                    if to_server.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                // Either may be closed already.
                let _ = (from_client.shutdown(Shutdown::Both), to_server.shutdown(Shutdown::Both));
            });
            thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                let mut answers = 0;
                while let Ok(read @ 1..) = server.read(&mut buffer) {
                    answers += fences.load(Ordering::SeqCst);
                    // The statement is prepared, and then executed.
                    let is_last = number == 0 && answers == 2;
                    if is_last {
                        cork(&client);
                    }
                    if client.write_all(&buffer[..read]).is_err() || is_last {
                        break;
                    }
                }
                // Either may be closed already.
                let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
            });
        }
    });
    (port, uses)
}

/// Sends what is written next together with the end of the connection.
fn cork(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd as _;
        let (on, size) = (1_i32, libc::socklen_t::try_from(size_of::<i32>()).unwrap());
        let (level, option) = (libc::IPPROTO_TCP, libc::TCP_CORK);
        // SAFETY: the pointer and the size are those of `on`, which lives until the call returns.
        let set = unsafe {
            libc::setsockopt(stream.as_raw_fd(), level, option, (&raw const on).cast(), size)
        };
        assert_eq!(set, 0);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}
