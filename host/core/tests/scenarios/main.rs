//! How approvals behave, case by case: every case that the core decides, with its
//! number in the name of its test. The policies are native stand-ins that answer
//! as the built-in ones do; those are tested where they live.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may say what it takes for granted")]

mod bypass;
mod combination;
mod duration;
mod ledger;
mod policies;
mod quorum;
mod refusals;
mod reminders;
mod rules;
mod time;
mod votes;
mod world;
