//! A segment of a path that the client chose: an offset, a name or a tag.

use std::marker::PhantomData;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::response::IntoResponse;
use http::request::Parts;

use crate::fault::Fault;

/// The one segment of a path that the client chose. If it is not valid, the response is the failure as `R`: a problem,
/// or a page.
pub(crate) struct Segment<R = Fault>(pub(crate) String, pub(crate) PhantomData<fn() -> R>);

impl<S, R> FromRequestParts<S> for Segment<R>
where
    S: Send + Sync,
    R: From<Fault> + IntoResponse,
{
    type Rejection = R;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, R> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text, PhantomData)),
            Err(problem) => Err(fault(&problem).into()),
        }
    }
}

fn fault(problem: &PathRejection) -> Fault {
    Fault::invalid(format!("the path is not valid: {}", problem.body_text()))
}
