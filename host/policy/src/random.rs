//! The only place of this crate where chance comes in: the key of the cache. No
//! evaluation sees any.

/// Fills `bytes` from the operating system's generator.
pub(crate) fn fill(bytes: &mut [u8]) -> std::io::Result<()> {
    #[allow(clippy::disallowed_methods, reason = "this is where it comes in")]
    getrandom::fill(bytes).map_err(std::io::Error::other)
}
