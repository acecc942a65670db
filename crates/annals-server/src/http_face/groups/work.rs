//! What the workers of a group call: pull, ack, nack and extend.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use annals_consumer::{ConsumerError, LeaseId, Settled};
use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::bodies::{AckBody, ExtendBody, NackBody, PullBody};
use crate::client::Client;
use crate::fault::{Fault, Kind};
use crate::groups::pull::{Begun, Bell, Pull, PullAtWork};
use crate::groups::registry::{InUse, OpenGroup};
use crate::http_face::body;
use crate::segment::Segment;
use crate::shared::{Shared, draining};

/// Returns events for a worker, leased to it. Waits for the first one if the request says so.
pub(in crate::http_face) async fn pull(
    State(shared): State<Arc<Shared>>,
    Extension(client): Extension<Client>,
    Segment(name, ..): Segment,
    request: Request,
) -> Result<Response, Fault> {
    shared.groups.check_writable()?;
    let pull = body::json::<PullBody>(&body::read(request).await?)?.checked()?;
    let group = shared.groups.group(&name).await?;
    let pulled =
        closing_broken(&shared, &name, pulled(&shared, &client, group, pull).await).await?;
    Ok(([(CONTENT_TYPE, "application/json")], pulled).into_response())
}

/// Pulls, and waits for the first event if nothing is there. Returns the body of the response. A waiting pull counts as
/// a subscription. It costs nothing until an append, an answer or the end of a deadline wakes it.
async fn pulled(
    shared: &Shared,
    client: &Client,
    group: InUse,
    wanted: Pull,
) -> Result<Vec<u8>, Fault> {
    let wanted = Arc::new(wanted);
    let first = Arc::clone(&wanted);
    let begun = shared.blocking(move || PullAtWork::begin(group, &first)).await?;
    let Begun { mut pull, query, position } = begun;
    if !pull.is_empty() || wanted.wait.is_zero() {
        return Ok(pull.into_body());
    }
    let _permit = shared.subscription_permit()?;
    let _watch = shared.cursors.watch("group", client.to_string(), Arc::new(query), position);
    let (bell, mut phase) = (Arc::new(Bell::default()), shared.phase());
    let end = tokio::time::sleep(wanted.wait);
    tokio::pin!(end);
    loop {
        let (again, waker) = (Arc::clone(&wanted), Waker::from(Arc::clone(&bell)));
        let polled = shared.blocking(move || {
            let is_done = pull.poll(&again, &waker)?;
            Ok((pull, is_done))
        });
        let is_done;
        (pull, is_done) = polled.await?;
        if is_done {
            return Ok(pull.into_body());
        }
        tokio::select! {
            () = bell.rung() => {}
            () = end.as_mut() => return Ok(pull.into_body()),
            () = draining(&mut phase) => return Ok(pull.into_body()),
        }
    }
}

/// Closes the group if the failure is one of its own files, so that the next request opens it again.
async fn closing_broken<T>(
    shared: &Shared,
    name: &str,
    result: Result<T, Fault>,
) -> Result<T, Fault> {
    if let Err(fault) = &result
        && matches!(fault.kind, Kind::GroupHeld | Kind::Io)
    {
        shared.groups.close(name).await;
    }
    result
}

/// Acknowledges leases.
pub(in crate::http_face) async fn ack(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment,
    request: Request,
) -> Result<Json<Value>, Fault> {
    let leases = body::json::<AckBody>(&body::read(request).await?)?.leases()?;
    settle(&shared, &name, move |group| group.ack(&leases)).await
}

/// Answers leases whose events were not handled.
pub(in crate::http_face) async fn nack(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment,
    request: Request,
) -> Result<Json<Value>, Fault> {
    let body: NackBody = body::json(&body::read(request).await?)?;
    let (leases, action) = (body.leases()?, body.action()?);
    settle(&shared, &name, move |group| group.nack(&leases, action, &body.reason)).await
}

/// Gives leases a new deadline, from now on.
pub(in crate::http_face) async fn extend(
    State(shared): State<Arc<Shared>>,
    Segment(name, ..): Segment,
    request: Request,
) -> Result<Json<Value>, Fault> {
    let body: ExtendBody = body::json(&body::read(request).await?)?;
    let (leases, deadline) = (body.leases()?, body.deadline()?);
    settle(&shared, &name, move |group| extend_all(group, &leases, deadline)).await
}

fn extend_all(
    group: &OpenGroup,
    leases: &[LeaseId],
    deadline: Duration,
) -> Result<Settled, ConsumerError> {
    let mut settled = Settled::default();
    for &lease in leases {
        match group.extend(lease, deadline) {
            Ok(()) => settled.done.push(lease),
            Err(ConsumerError::LeaseLost { .. }) => settled.lost.push(lease),
            Err(error) => return Err(error),
        }
    }
    Ok(settled)
}

/// Answers leases, and reports which are done and which are lost.
async fn settle(
    shared: &Shared,
    name: &str,
    work: impl FnOnce(&OpenGroup) -> Result<Settled, ConsumerError> + Send + 'static,
) -> Result<Json<Value>, Fault> {
    shared.groups.check_writable()?;
    let group = shared.groups.group(name).await?;
    let settled = shared.blocking(move || Ok(work(&group)?)).await;
    let Settled { done, lost } = closing_broken(shared, name, settled).await?;
    let texts = |leases: &[LeaseId]| -> Value {
        leases.iter().map(ToString::to_string).collect::<Vec<_>>().into()
    };
    let (done, lost_texts) = (texts(&done), texts(&lost));
    if let Some(first) = lost.first() {
        let error = ConsumerError::LeaseLost { offset: first.offset() };
        return Err(Fault::from(error).with("done", done).with("lost", lost_texts));
    }
    Ok(Json(json!({ "done": done, "lost": lost_texts })))
}
