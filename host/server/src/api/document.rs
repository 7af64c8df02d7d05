//! What the `OpenAPI` document says besides the handlers.

use axum::Json;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
    ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::body::{KEY_BYTES_MAX, KEY_HEADER};
use super::problem::{self, Document};

/// What the gateway's API is.
const ABOUT: &str = "\
Ask for access, vote, and configure the gateway.\n\n\
Send `Authorization: Bearer qrt_…`; `POST /api/login` gives the token. What each route takes is in its \
`security`: a token of anybody, of an auditor, or of an admin.\n\n\
Every error is a problem document (RFC 9457) whose `type` is stable.\n\n\
A write with an `Idempotency-Key` (1 to 128 visible characters) is made once: the same key with the same body \
answers with the thing as it is now and says `Idempotent-Replayed: true`; with another body it is refused. Keys \
are known for a day, those of writes with a password or secret in them until the gateway is started again: then \
it cannot tell any more whether the secret is the same, and refuses the key.\n\n\
Times are RFC 3339 in UTC, durations as in `2h` or `1h30m`.";

/// Writes without an idempotency key, each with its reason in its description.
const WITHOUT_KEY: [&str; 4] = [
    "/api/channels/{name}/deliveries/{entry}/again",
    "/api/channels/{name}/test",
    "/api/login",
    "/api/setup",
];

/// The document before the handlers are added.
pub(super) fn start() -> OpenApi {
    let info =
        InfoBuilder::new().title("Quorate").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    OpenApiBuilder::new().info(info.build()).components(Some(Components::new())).build()
}

/// The document as it is served.
pub(super) fn complete(mut openapi: OpenApi) -> Json<OpenApi> {
    let components = openapi.components.get_or_insert_default();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("qrt_…")
        .description(Some("A token from `POST /api/login` or `POST /api/me/tokens`."));
    components.add_security_scheme("token", SecurityScheme::Http(token.build()));
    components.schemas.insert(Document::name().into_owned(), Document::schema());
    let content = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name(Document::name()))));
    let problem = ResponseBuilder::new()
        .description("Why there is no answer")
        .content(problem::MEDIA_TYPE, content.build())
        .build();
    for (path, item) in &mut openapi.paths.paths {
        if !WITHOUT_KEY.contains(&path.as_str()) {
            for write in [&mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
                write.parameters.get_or_insert_default().push(RefOr::T(key_header()));
            }
        }
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), RefOr::T(problem.clone()));
        }
    }
    Json(openapi)
}

/// The header that makes a write once.
fn key_header() -> Parameter {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(KEY_BYTES_MAX))
        .pattern(Some("^[!-~]+$"));
    ParameterBuilder::new()
        .name(KEY_HEADER)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Makes this write once, however often it is sent."))
        .schema(Some(text.build()))
        .build()
}
