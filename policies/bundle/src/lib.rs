//! The policies of this workspace as components, compiled by the build script and
//! embedded with their digests.
//!
//! A constant that nobody uses is not linked: the gateway carries `BUILT_IN` and what
//! its demo needs, no probes.

pub mod project;

/// A policy, ready to be loaded.
#[derive(Debug, Clone, Copy)]
pub struct Bundled {
    /// Its name, such as `group-quorum`.
    pub name: &'static str,
    /// What it is for, in one line.
    pub description: &'static str,
    /// The SHA-256 of the component, in lower case hexadecimal digits.
    pub digest: &'static str,
    /// The component.
    pub component: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
