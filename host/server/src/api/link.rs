//! Where the link of a request leads: what to do with it on the command line.
//!
//! It says nothing about the request, not even whether there is one, so anybody may
//! read it.

use axum::extract::Path;
use quorate_core::ids::RequestId;

use super::access::Anonymous;
use super::problem::Problem;

/// What to do with the request of that id.
pub(super) async fn request(_: Anonymous, Path(id): Path<String>) -> Result<String, Problem> {
    let Ok(id) = id.parse::<RequestId>() else {
        return Err(Problem::not_found("request", &id));
    };
    Ok(format!(
        "Access request {id}

Look at it, and decide, with the command line of this gateway:

  quorate requests show {id}
  quorate requests approve {id} --comment '...'
  quorate requests reject {id} --comment '...'
"
    ))
}
