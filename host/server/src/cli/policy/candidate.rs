//! What an operator wants to try in the place of a policy that decides.

use std::path::Path;

use quorate_core::ids::{Digest, PolicyName};

use super::read;
use crate::cli::client::Gateway;
use crate::cli::exit::Failure;

/// What is tried in whose place.
pub(super) struct Candidate {
    pub(super) policy: PolicyName,
    /// Its digest, or a beginning of it.
    pub(super) digest: String,
    /// The component, where it is a file here.
    pub(super) bytes: Option<Vec<u8>>,
}

impl Candidate {
    /// `typed` is a file, or `NAME@DIGEST`; it stands in for `policy`, or else for what has
    /// its name.
    pub(super) fn of(typed: &str, policy: Option<&PolicyName>) -> Result<Self, Failure> {
        let file = Path::new(typed);
        if let Some((name, digest)) = typed.split_once('@').filter(|_| !file.is_file()) {
            let name: PolicyName = name.parse().map_err(|error| Failure::usage(format!("{error}")))?;
            let digest = super::digest_prefix(digest)
                .map_err(|why| Failure::usage(format!("`{typed}`: {why} behind the @")))?;
            return Ok(Self { policy: policy.cloned().unwrap_or(name), digest, bytes: None });
        }
        let bytes = read(file)?;
        let stem = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        let policy = policy
            .cloned()
            .or(stem)
            .ok_or_else(|| Failure::usage("say with --policy in whose place the candidate is to be tried"))?;
        Ok(Self { policy, digest: Digest::of(&bytes).to_string(), bytes: Some(bytes) })
    }

    /// Sees to it that the gateway has it.
    pub(super) async fn offer(&self, gateway: &Gateway) -> Result<(), Failure> {
        let Some(bytes) = &self.bytes else { return Ok(()) };
        let path = ["policies", self.policy.as_str(), "candidates"];
        gateway.upload(&path, Vec::new(), bytes.clone()).await.map(drop).map_err(|failure| {
            if failure.code() == Some("not-found") {
                let message =
                    format!("{}: say with --policy in whose place it is to be tried", failure.message);
                return Failure { message, ..failure };
            }
            failure
        })
    }
}
