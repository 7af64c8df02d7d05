//! From a core module, as `cargo build --target wasm32-unknown-unknown` leaves it, to
//! a component. Shared by the build script and by `examples/componentize.rs`.

use std::borrow::Cow;

use anyhow::Context;
use wasm_encoder::{ComponentNameSection, ComponentSection, CustomSection};
use wit_component::ComponentEncoder;

/// What a component says about itself, in the standard custom sections.
pub(crate) struct Metadata<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) description: &'a str,
    pub(crate) licenses: &'a str,
}

/// The component around `module`, which carries the contract it was built against.
pub(crate) fn encode(module: &[u8], metadata: &Metadata<'_>) -> anyhow::Result<Vec<u8>> {
    let mut component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("not a module that was built with the kit")?
        .encode()
        .context("the module does not fit the contract")?;

    let mut name = ComponentNameSection::new();
    name.component(metadata.name);
    name.append_to_component(&mut component);
    let texts = [
        ("version", metadata.version),
        ("description", metadata.description),
        ("licenses", metadata.licenses),
    ];
    for (section, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        let section = CustomSection { name: Cow::Borrowed(section), data: Cow::Borrowed(text.as_bytes()) };
        section.append_to_component(&mut component);
    }
    Ok(component)
}
