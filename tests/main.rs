//! End-to-end tests, in reading order.
//!
//! A `World` is a gateway in this process with a clock that is moved by hand; its
//! people talk to it over HTTP. Tests of the program itself run it, in a real
//! terminal where that matters.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test says what it takes for granted, and nobody else uses what is in here"
)]

mod world;

mod suites {
    mod approvals;
    mod authoring;
    mod backtest;
    mod bad_input;
    mod bypass;
    mod channels;
    mod configure;
    mod duration;
    mod facts;
    mod identity;
    mod kill;
    mod mail;
    mod oidc;
    mod operations;
    mod outage;
    mod policy_changes;
    mod program;
    mod reach;
    mod reminders;
    mod restart;
    mod rules;
    mod session_user;
    mod sessions_web;
    mod shadow;
    mod signing;
    mod slack;
    mod slack_peer;
    mod slack_peer_people;
    mod slack_told;
    mod structure;
    mod stuck;
    mod teams;
    mod terminal;
    mod told_once;
    mod tools;
    mod votes;
    mod web;
    mod web_account;
    mod web_audit;
    mod web_channels;
    mod web_jit;
    mod web_people;
    mod web_policies;
    mod web_resources;
    mod web_rules;
}
