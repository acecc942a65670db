//! A web service on annals: a booking office for seats, with axum.
//!
//! ```sh
//! cargo run --release -p annals-web                                  # ./bookings.store, a free port of this machine
//! cargo run --release -p annals-web -- my.store 127.0.0.1:8080
//! curl -X POST 127.0.0.1:8080/shows/hamlet/seats/12A -H 'Idempotency-Key: 1' --json '{"guest":"ada"}'
//! curl 127.0.0.1:8080/shows/hamlet
//! curl -N 127.0.0.1:8080/events
//! ```
//! It shows what a service needs: appends that do not block the runtime, decisions under contention, retries that are
//! safe, a read model, a stream of events that a client can continue, health, metrics, and a shutdown that loses
//! nothing. The test beside it kills the service while hundreds of clients use it.

mod booking;
mod follow;
mod service;

use std::error::Error;
use std::io::Write as _;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio::signal;
use tokio::sync::watch;

use service::Service;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "bookings.store".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());

    let recorder = PrometheusBuilder::new().install_recorder()?;
    let (stop, stopping) = watch::channel(false);
    let service = Service::open(&path, recorder, stopping)?;
    let store = service.store.clone();

    let listener = TcpListener::bind(&address).await?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    axum::serve(listener, service.routes())
        .with_graceful_shutdown(async move {
            asked_to_stop().await;
            // Event streams would never end by themselves, and the server waits for every request.
            let _ = stop.send(true);
        })
        .await?;

    // Every append that was acknowledged is durable already. Closing also marks the log as closed, so that the next
    // process opens it without a look at its end.
    tokio::task::spawn_blocking(move || store.close()).await??;
    Ok(())
}

/// Returns when the user presses Ctrl-C or the system sends SIGTERM.
async fn asked_to_stop() {
    #[cfg(unix)]
    let terminated = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be received");
                std::future::pending::<()>().await;
            }
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = signal::ctrl_c() => {}
        () = terminated => {}
    }
}
