//! What a component says about itself, for lists and pages. Never trusted, never
//! part of a decision.

use wasmparser::{KnownCustom, Payload};

use crate::fault::plain;
use crate::sections::outermost;

/// What an author wrote into the component; each may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its name.
    pub name: Option<String>,
    /// Its version, in the author's counting.
    pub version: Option<String>,
    /// What it does, in a sentence.
    pub description: Option<String>,
    /// Under which licences, an SPDX expression.
    pub licenses: Option<String>,
    /// Where its source is kept.
    pub source: Option<String>,
}

impl Metadata {
    /// What `component` carries in its own custom sections, not in those of the
    /// modules inside.
    pub(crate) fn of(component: &[u8], schema: &serde_json::Value) -> Self {
        let mut metadata = Self::default();
        for payload in outermost(component) {
            if let Payload::CustomSection(section) = payload {
                metadata.read(&section);
            }
        }
        let said = |key: &str| schema.get(key)?.as_str().and_then(|text| shown(text, 400));
        metadata.description = metadata.description.or_else(|| said("description"));
        metadata
    }

    fn read(&mut self, section: &wasmparser::CustomSectionReader<'_>) {
        let text = || shown(std::str::from_utf8(section.data()).ok()?, 400);
        match section.name() {
            "version" => self.version = text(),
            "description" => self.description = text(),
            "licenses" => self.licenses = text(),
            "source" => self.source = text(),
            _ => {
                if let KnownCustom::ComponentName(names) = section.as_known() {
                    for name in names.into_iter().flatten() {
                        if let wasmparser::ComponentName::Component { name, .. } = name {
                            self.name = shown(name, 100);
                        }
                    }
                }
            }
        }
    }
}

fn shown(text: &str, chars_max: usize) -> Option<String> {
    Some(plain(text, chars_max)).filter(|text| !text.is_empty())
}
