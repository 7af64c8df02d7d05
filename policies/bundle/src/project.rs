//! What a policy project outside of this workspace needs: the kit, the contract, and
//! the versions that are locked here. Written by the build script.

/// A text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Where it is, seen from the folder.
    pub path: &'static str,
    /// What it says.
    pub text: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/project.rs"));
