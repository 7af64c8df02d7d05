//! The HTTP API: one file for each kind of thing, and in it what goes in, what
//! comes out, and handlers that say who may do what.
//!
//! The `OpenAPI` document is made from the handlers themselves, so that it cannot say
//! anything else than what they do. Every route says who may use it; what no route
//! answers is a 404, and every error a problem document.
//!
//! Not here: rules (the core's and the lifecycle's), SQL (the ledger's), and what
//! happens on the WebSocket of a session ([`crate::session`]).

mod access;
mod activations;
mod answer;
mod audit;
mod backtest;
mod body;
mod channels;
mod decisions;
mod document;
mod events;
mod facts;
mod fingerprint;
mod groups;
mod health;
mod inbox;
mod live;
mod login;
mod me;
mod page;
mod policies;
mod problem;
mod reach;
pub(crate) mod recordings;
mod requests;
mod resources;
mod rules;
pub(crate) mod sessions;
mod shadow;
mod users;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

pub(crate) use self::access::{note_user, peer};
pub(crate) use self::audit::{VerifiedView, exported, verified};
pub(crate) use self::backtest::find as find_candidate;
pub(crate) use self::decisions::recorded;
pub(crate) use self::events::{MISSED_MAX, Seen, Watch, sessions_under, sse};
pub use self::fingerprint::ProcessKey;
pub(crate) use self::policies::{COMPONENT_BYTES_MAX, ConditionView, conditions, resolve};
pub(crate) use self::problem::Problem;
pub(crate) use self::requests::{visible, visible_after};
pub(crate) use self::users::CHANGING;
use crate::app::App;
use crate::telemetry;

/// Everything the gateway answers over HTTP: the API, and `pages`, which also answer where there is
/// nothing.
pub fn router(app: App, pages: Router<App>) -> Router {
    let (router, openapi) = api().split_for_parts();
    let document = document::complete(openapi);
    let router = router
        .merge(pages)
        .route("/api/openapi.json", get(async move || document.clone()))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(body::BODY_BYTES_MAX))
        .with_state(app);
    dress(router)
}

/// What every answer has: a line in the log, a request id, headers that keep
/// browsers from guessing, and a problem document in the place of a panic.
pub fn dress(router: Router) -> Router {
    let set = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    router
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(set(header::CACHE_CONTROL, "no-store"))
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(header::X_FRAME_OPTIONS, "DENY"))
        .layer(set(header::REFERRER_POLICY, "no-referrer"))
        .layer(set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
        .layer(middleware::from_fn(telemetry::observe))
}

fn api() -> OpenApiRouter<App> {
    let component = DefaultBodyLimit::max(policies::COMPONENT_BYTES_MAX);
    OpenApiRouter::with_openapi(document::start())
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(login::log_in))
        .routes(routes!(login::set_up))
        .routes(routes!(login::log_out))
        .routes(routes!(me::show))
        .routes(routes!(me::change_password))
        .routes(routes!(me::tokens, me::make_token))
        .routes(routes!(me::revoke_token))
        .routes(routes!(inbox::list, requests::submit))
        .routes(routes!(requests::show))
        .routes(routes!(requests::timeline))
        .routes(routes!(requests::explain))
        .routes(routes!(requests::what_would_it_take))
        .routes(routes!(requests::vote))
        .routes(routes!(requests::cancel))
        .routes(routes!(requests::revoke))
        .routes(routes!(requests::grants))
        .routes(routes!(events::request))
        .routes(routes!(events::inbox))
        .routes(routes!(live::open))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::show))
        .routes(routes!(sessions::end))
        .routes(routes!(recordings::read))
        .routes(routes!(resources::list))
        .routes(routes!(resources::show, resources::save, resources::remove))
        .routes(routes!(reach::reach))
        .routes(routes!(rules::list))
        .routes(routes!(rules::show, rules::save, rules::remove))
        .routes(routes!(policies::list))
        .routes(routes!(policies::show))
        .routes(routes!(policies::schema))
        .routes(routes!(policies::load).layer(component))
        .routes(routes!(activations::activate))
        .routes(routes!(activations::ask))
        .routes(routes!(activations::roll_back))
        .routes(routes!(shadow::stage))
        .routes(routes!(shadow::report, shadow::start))
        .routes(routes!(shadow::stop))
        .routes(routes!(shadow::accept))
        .routes(routes!(backtest::offer).layer(component))
        .routes(routes!(backtest::page))
        .routes(routes!(channels::list))
        .routes(routes!(channels::show, channels::save, channels::remove))
        .routes(routes!(channels::rotate))
        .routes(routes!(channels::test))
        .routes(routes!(channels::deliveries))
        .routes(routes!(channels::again))
        .routes(routes!(facts::list))
        .routes(routes!(facts::test))
        .routes(routes!(users::list))
        .routes(routes!(users::show, users::save))
        .routes(routes!(groups::list))
        .routes(routes!(groups::show, groups::save))
        .routes(routes!(audit::entries))
        .routes(routes!(audit::verify))
        .routes(routes!(audit::export))
        .routes(routes!(decisions::history))
        .routes(routes!(decisions::replay_page))
        .routes(routes!(decisions::show))
        .routes(routes!(decisions::replay))
}

async fn method_not_allowed() -> Problem {
    let detail = "this address does not take that method; the `Allow` header says which it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

/// The panic itself has been logged where it happened.
fn panicked() -> Response {
    Problem::crashed().into_response()
}
