//! What pages are made of besides HTML: embedded in the program, and kept by browsers for
//! good, because the address changes with the content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use quorate_core::ids::Digest;

/// One file.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    /// Where it is, with its digest.
    address: String,
}

impl Asset {
    fn new(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        let address = format!("/assets/{name}?{}", Digest::of(bytes).short());
        Self { name, media_type, bytes, address }
    }
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The stylesheet, the scripts in the order in which they are run, and the icon.
static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("style.css", "text/css; charset=utf-8", include_bytes!("../../assets/style.css"))
});
static SCRIPTS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new("htmx.js", SCRIPT, include_bytes!("../../assets/htmx-4.0.1.min.js")),
        Asset::new("hx-sse.js", SCRIPT, include_bytes!("../../assets/hx-sse-4.0.1.min.js")),
        Asset::new("app.js", SCRIPT, include_bytes!("../../assets/app.js")),
    ]
});
/// The player of recordings, which only its page has.
static PLAYER_STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let bytes = include_bytes!("../../assets/asciinema-player-3.18.0.css");
    Asset::new("asciinema-player.css", "text/css; charset=utf-8", bytes)
});
static PLAYER_SCRIPTS: LazyLock<[Asset; 2]> = LazyLock::new(|| {
    let player = include_bytes!("../../assets/asciinema-player-3.18.0.min.js");
    [
        Asset::new("asciinema-player.js", SCRIPT, player),
        Asset::new("player.js", SCRIPT, include_bytes!("../../assets/player.js")),
    ]
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")));

/// Where the stylesheet is.
pub(super) fn style() -> &'static str {
    &STYLE.address
}

/// Where the icon is.
pub(super) fn icon() -> &'static str {
    &ICON.address
}

/// Where the scripts are, in order.
pub(super) fn scripts() -> impl Iterator<Item = &'static str> {
    SCRIPTS.iter().map(|script| script.address.as_str())
}

/// Where the stylesheet of the player is.
pub(super) fn player_style() -> &'static str {
    &PLAYER_STYLE.address
}

/// Where the scripts of the player are, in order.
pub(super) fn player_scripts() -> impl Iterator<Item = &'static str> {
    PLAYER_SCRIPTS.iter().map(|script| script.address.as_str())
}

/// One of them; anybody may have it.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let mut all = SCRIPTS.iter().chain(&*PLAYER_SCRIPTS).chain([&*STYLE, &*PLAYER_STYLE, &*ICON]);
    match all.find(|asset| asset.name == name) {
        Some(asset) => {
            let headers = [
                (header::CONTENT_TYPE, asset.media_type),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, asset.bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
