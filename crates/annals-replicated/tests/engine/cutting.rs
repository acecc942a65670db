//! A proxy that cuts connections before it passes on an answer. The tests of all engines use this file.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A page of events has larger pieces than an answer to an append: only answers count.
const ANSWER: usize = 4_096;

/// Starts a proxy to a port of this machine. It cuts each connection after 12 to 43 answers, and the last one does not
/// arrive. Returns its own port, and the number of answers that it kept back so far.
pub(crate) fn start(to: u16) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let kept_back = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&kept_back);
    thread::spawn(move || {
        for (client, number) in listener.incoming().zip(0..) {
            let client = client.unwrap();
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let (from_client, to_server) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            let counter = Arc::clone(&counter);
            thread::spawn(move || pump(from_client, to_server, u64::MAX));
            thread::spawn(move || {
                if pump(server, client, 12 + number * 7 % 32) {
                    // Relaxed: the counter guards nothing.
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    (port, kept_back)
}

/// Passes on what arrives, up to a number of answers. Returns whether it kept the last one back.
fn pump(mut from: TcpStream, mut to: TcpStream, mut answers: u64) -> bool {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if read < ANSWER {
            answers -= 1;
        }
        if answers == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    answers == 0
}
