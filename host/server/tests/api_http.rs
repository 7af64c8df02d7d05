//! The HTTP API against a real gateway on a temporary ledger: who may do what, what
//! bad input gets, and what a client can rely on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it takes for granted, and so do its helpers"
)]

#[path = "api_http/access.rs"]
mod access;
#[path = "api_http/backtest.rs"]
mod backtest;
#[path = "api_http/bad_input.rs"]
mod bad_input;
#[path = "api_http/configure.rs"]
mod configure;
#[path = "api_http/decisions.rs"]
mod decisions;
#[path = "api_http/events.rs"]
mod events;
#[path = "api_http/identity.rs"]
mod identity;
#[path = "api_http/limits.rs"]
mod limits;
#[path = "api_http/lists.rs"]
mod lists;
#[path = "api_http/repeat.rs"]
mod repeat;
#[path = "api_http/shadow.rs"]
mod shadow;
#[path = "api_http/what_if.rs"]
mod what_if;
#[path = "api_http/world.rs"]
mod world;
