//! The access gateway, and the program people use it with.

pub mod agent;
pub mod ledger;
pub mod session;
