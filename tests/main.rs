//! End-to-end tests, in reading order.
//!
//! A `World` is a gateway in this process with a clock that is moved by hand; its
//! people talk to it over HTTP. Tests of the program itself run it, in a real
//! terminal where that matters.

mod world;

mod suites {
    mod approvals;
    mod structure;
}
