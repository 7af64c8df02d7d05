//! The policy runtime, from the outside: what it evaluates, refuses and survives.
//!
//! The suites, in reading order. They share one runtime, as a process does; those
//! that need other limits make their own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where what it takes for granted fails")]

mod guest;
mod world;

mod evaluation;
mod faults;
mod frozen;
mod refusals;
mod series;
mod signature;
mod vectors;

mod compiled;
mod swap;
