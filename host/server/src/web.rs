//! The web app: pages for people, made on the server, over the same lifecycle as the API.
//!
//! Every page works without a script. Where there is one, forms answer in place, and pages
//! that show what may change look again when the ledger says that it did. Nothing is loaded
//! from elsewhere, and no script stands in a page.
//!
//! Not here: rules (the core's and the lifecycle's), and JSON (the API's).

mod account;
mod ask;
mod asset;
mod inbox;
mod live;
mod page;
mod request;
mod sign_in;
mod visitor;
mod words;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::Redirect;
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::App;

/// What a page may do: nothing but with what comes from the gateway itself, and with no script
/// or style that stands in the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// All pages, and what they are made of.
pub fn router() -> Router<App> {
    let policy = SetResponseHeaderLayer::if_not_present(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    Router::new()
        .route("/", get(async || Redirect::to("/requests")))
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/account", get(account::page))
        .route("/account/sign-out-everywhere", post(account::sign_out_everywhere))
        .route("/requests", get(inbox::page))
        .route("/requests/live", get(live::inbox))
        .route("/requests/new", get(ask::page).post(ask::submit))
        .route("/requests/new/preview", post(ask::preview))
        .route("/requests/{id}", get(request::page))
        .route("/requests/{id}/live", get(live::request))
        .route("/requests/{id}/vote", post(request::vote))
        .route("/requests/{id}/cancel", post(request::cancel))
        .route("/requests/{id}/revoke", post(request::revoke))
        .route("/assets/{name}", get(asset::serve))
        .route_layer(policy)
}
