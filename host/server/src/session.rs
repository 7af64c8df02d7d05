//! Sessions: live connections under a grant.

pub mod wire;
