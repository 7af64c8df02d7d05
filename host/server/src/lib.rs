//! The access gateway, and the program people use it with.
//!
//! ARCHITECTURE.md is the map; each module says what it is for and what is not in
//! it.

pub mod agent;
pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod facts;
pub mod given;
mod harmless;
pub mod identity;
pub mod ledger;
pub mod lifecycle;
pub mod mail;
pub mod notify;
pub mod oidc;
pub mod outgoing;
pub mod random;
pub mod reconcile;
pub mod session;
pub mod slack;
pub mod tasks;
pub mod telemetry;
pub mod web;

/// Policies, records and pages are many small pieces of memory, which this gives out and takes
/// back faster than the C library: a sixth of a backtest.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
