//! The outermost sections of a component or module, as bytes. What is inside them is not looked
//! at, so a component keeps everything that is not taken out by name.

use anyhow::{Context, bail};

/// Magic number, version and layer.
const HEADER_BYTES: usize = 8;
/// The id of a custom section.
const CUSTOM: u8 = 0;

/// `component` without those of its own custom sections whose name `goes`.
pub(crate) fn without_custom(component: &[u8], goes: impl Fn(&str) -> bool) -> anyhow::Result<Vec<u8>> {
    let Some((header, mut rest)) = component.split_at_checked(HEADER_BYTES) else {
        bail!("it ends in its header");
    };
    let mut kept = header.to_vec();
    while let Some((&id, after_id)) = rest.split_first() {
        let (content, after) = sized(after_id).context("a section is cut off")?;
        let whole = &rest[..rest.len() - after.len()];
        let named = || std::str::from_utf8(sized(content)?.0).ok();
        if id != CUSTOM || !named().is_some_and(&goes) {
            kept.extend_from_slice(whole);
        }
        rest = after;
    }
    Ok(kept)
}

/// Whether a module or component has a custom section of its own whose name begins so.
pub(crate) fn has_custom(binary: &[u8], prefix: &str) -> bool {
    let mut rest = binary.get(HEADER_BYTES..).unwrap_or_default();
    while let Some((&id, after_id)) = rest.split_first() {
        let Some((content, after)) = sized(after_id) else { return false };
        if id == CUSTOM && sized(content).is_some_and(|(name, _)| name.starts_with(prefix.as_bytes())) {
            return true;
        }
        rest = after;
    }
    false
}

/// The bytes that are preceded by their number, and what follows them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut size = 0_u64;
    for (nth, byte) in bytes.iter().enumerate().take(5) {
        size |= u64::from(byte & 0x7f) << (7 * nth);
        if byte & 0x80 == 0 {
            return bytes[nth + 1..].split_at_checked(usize::try_from(size).ok()?);
        }
    }
    None
}
