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
mod audit;
mod channels;
mod decision;
mod form;
mod happened;
mod inbox;
mod live;
mod oidc;
mod page;
mod people;
mod policies;
mod recording;
mod request;
mod resources;
mod rules;
mod schema;
mod session;
mod sessions;
mod set_up;
mod sign_in;
mod slack;
mod visitor;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;

use self::page::Refusal;
use crate::api::{COMPONENT_BYTES_MAX, Problem};
use crate::app::App;

/// What a page may do: nothing but with what comes from the gateway itself, and with no script
/// or style that stands in the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Where a provider has browsers come back to.
pub const CALLBACK: &str = "/sign-in/oidc/callback";

/// All pages, and what they are made of.
pub fn router() -> Router<App> {
    let policy = SetResponseHeaderLayer::if_not_present(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    // A component, and what a form is around it.
    let component = DefaultBodyLimit::max(COMPONENT_BYTES_MAX + 10_000);
    Router::new()
        .route("/", get(async || Redirect::to("/requests")))
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/set-up", get(set_up::page).post(set_up::set_up))
        .route("/sign-in/oidc", get(oidc::begin))
        .route(CALLBACK, get(oidc::end))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/account", get(account::page))
        .route("/account/slack", get(slack::page).post(slack::bind))
        .route("/account/slack/remove", post(slack::unbind))
        .route("/account/password", post(account::change_password))
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
        .route("/rules", get(rules::list).post(rules::save))
        .route("/rules/{name}", get(rules::page))
        .route("/rules/{name}/remove", post(rules::remove))
        .route("/new/rule", get(rules::blank).post(rules::refresh))
        .route("/policies", get(policies::list).merge(post(policies::load).layer(component)))
        .route("/policies/{name}", get(policies::page).post(policies::act))
        .route("/policies/{name}/backtest", get(policies::backtest::page))
        .route("/policies/{name}/playground", get(policies::playground::page).post(policies::playground::ask))
        .route("/resources", get(resources::list).post(resources::save))
        .route("/resources/{name}", get(resources::page))
        .route("/resources/{name}/remove", post(resources::remove))
        .route("/new/resource", get(resources::blank))
        .route("/channels", get(channels::list).post(channels::save))
        .route("/channels/{name}", get(channels::page))
        .route("/channels/{name}/remove", post(channels::remove))
        .route("/channels/{name}/rotate", post(channels::rotate))
        .route("/channels/{name}/test", post(channels::test))
        .route("/channels/{name}/again", post(channels::again))
        .route("/new/channel", get(channels::blank))
        .route("/people", get(people::list).post(people::save))
        .route("/people/{id}", get(people::person))
        .route("/new/person", get(people::blank))
        .route("/groups/{name}", get(people::group).post(people::save_group))
        .route("/audit", get(audit::page))
        .route("/audit/verify", post(audit::verify))
        .route("/audit/export", get(audit::export))
        .route("/decisions/{digest}", get(decision::page))
        .route("/decisions/{digest}/replay", post(decision::replay))
        .route("/sessions", get(sessions::page))
        .route("/sessions/live", get(live::sessions))
        .route("/sessions/{id}", get(session::page))
        .route("/sessions/{id}/live", get(live::session))
        .route("/sessions/{id}/end", post(session::end))
        .route("/sessions/{id}/recording", get(recording::page))
        .route("/sessions/{id}/recording.cast", get(recording::cast))
        .route("/assets/{name}", get(asset::serve))
        .route_layer(policy)
        .fallback(nothing)
}

/// Says that there is nothing at an address: to people on a page, to programs as the API does.
async fn nothing(uri: Uri, headers: HeaderMap) -> Response {
    let problem = Problem::not_found("such address here,", uri.path());
    let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok());
    if uri.path().starts_with("/api/") || !accepts.is_some_and(|accepts| accepts.contains("text/html")) {
        return problem.into_response();
    }
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Refusal(problem)).into_response()
}
