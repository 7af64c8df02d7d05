//! `quorate policy schema` and `quorate policy docs`: what a policy's config looks like, for
//! programs and for people.

mod markdown;

use std::path::{Path, PathBuf};

use clap::Args;
use quorate_core::verdict::Finding;
use quorate_policy::Policy;
use serde_json::{Value, json};

use super::{build, read};
use crate::cli::Context;
use crate::cli::exit::{Ending, Failure};
use crate::cli::words;

/// Print the JSON Schema of a policy's config
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate policy schema night-shift.wasm > night-shift.schema.json
  quorate policy schema .                        # a project: it is built first")]
pub(in crate::cli) struct Schema {
    /// The component, or a project's folder
    #[arg(value_name = "FILE|DIR")]
    what: PathBuf,
}

/// Print a README for a policy, made from what it says about itself
#[derive(Debug, Args)]
#[command(after_help = "\
What it does, its config with types, defaults and ranges, an example, and what it needs to know. The
example is the first config in its vectors, or made from the schema.

Examples:
  quorate policy docs night-shift.wasm
  quorate policy docs . > README.md              # a project: it is built first")]
pub(in crate::cli) struct Docs {
    /// The component, or a project's folder
    #[arg(value_name = "FILE|DIR")]
    what: PathBuf,
}

impl Schema {
    /// Runs the verb.
    pub(in crate::cli) async fn run(self, context: &Context) -> Ending {
        let (_, policy) = load(context, &self.what).await?;
        context.screen.document(policy.schema());
        Ok(0)
    }
}

impl Docs {
    /// Runs the verb.
    pub(in crate::cli) async fn run(self, context: &Context) -> Ending {
        let (component, policy) = load(context, &self.what).await?;
        let name = policy.metadata().name.clone().unwrap_or_else(|| {
            self.what.file_stem().map(|stem| words::clean(&stem.to_string_lossy())).unwrap_or_default()
        });
        let example = example(&component, &policy);
        let text = markdown::readme(&name, &policy, example.as_ref());
        context.screen.result(&json!({"name": name, "markdown": text, "example": example}), || text.clone())
    }
}

/// The component at `path`, through every check of the gateway; or that of the project
/// there, which is built first.
async fn load(context: &Context, path: &Path) -> Result<(Vec<u8>, Policy), Failure> {
    if path.is_dir() {
        let (compiled, policy) = build::build(context, path, None).await?;
        return Ok((compiled.component, policy));
    }
    let bytes = read(path)?;
    let loaded = tokio::task::spawn_blocking(move || super::loaded(&bytes).map(|policy| (bytes, policy)));
    let loaded = loaded.await.map_err(|error| Failure::failed(error.to_string()))?;
    loaded.map_err(|failure| Failure {
        message: format!("`{}`: {}", path.display(), failure.message),
        ..failure
    })
}

/// A config that the policy accepts: the author's first, or one made from the schema.
fn example(component: &[u8], policy: &Policy) -> Option<Value> {
    let of_author = quorate_policy::vectors::carried(component).and_then(first_config);
    let made = || markdown::example(policy.schema());
    of_author
        .filter(|config| accepts(policy, config))
        .or_else(|| Some(made()).filter(|config| accepts(policy, config)))
}

/// The first config in vector files.
fn first_config(vectors: &str) -> Option<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(vectors).ok()?;
    documents.iter().find_map(|document| document.get("config")).cloned()
}

fn accepts(policy: &Policy, config: &Value) -> bool {
    quorate_policy::config::findings(policy, config).iter().all(Finding::is_warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in(name: &str) -> (Policy, &'static [u8]) {
        let found = quorate_bundle::BUILT_IN.iter().find(|one| one.name == name).unwrap();
        (crate::cli::policy::loaded(found.component).unwrap(), found.component)
    }

    fn readme(name: &str) -> String {
        let (policy, component) = built_in(name);
        markdown::readme(name, &policy, example(component, &policy).as_ref())
    }

    #[test]
    fn a_readme_has_a_row_for_each_field_with_type_default_and_range() {
        let text = readme("group-quorum");
        assert!(text.starts_with("# group-quorum\n"), "{text}");
        assert!(text.contains("| `groups` | list of text | required | 1 to 12 items, each once |"), "{text}");
        assert!(text.contains("| `approvals` | whole number | `1` | 1 to 100 |"), "{text}");
        let (policy, _) = built_in("group-quorum");
        assert!(text.contains(&policy.digest().to_string()) && text.contains("Apache-2.0"), "{text}");
    }

    #[test]
    fn nested_and_optional_fields_and_choices_are_told_as_people_would() {
        let text = readme("duration-cap");
        assert!(text.contains("| `targets[].attribute` | text | required | not empty |"), "{text}");
        assert!(text.contains("| `on_excess` | text | `refuse` | `refuse` or `shorten` |"), "{text}");
        assert!(text.contains("| `groups.*` | text |"), "{text}");
        assert!(text.contains("| `min` | text or nothing |"), "{text}");
    }

    #[test]
    fn the_example_is_one_that_the_policy_accepts() {
        for policy in quorate_bundle::BUILT_IN {
            let (loaded, component) = built_in(policy.name);
            let example = example(component, &loaded).unwrap_or_else(|| panic!("none for {}", policy.name));
            assert!(accepts(&loaded, &example), "{example}");
            assert!(readme(policy.name).contains("```json\n"));
        }
    }

    #[test]
    fn the_authors_first_config_is_taken_over_a_made_one() {
        assert_eq!(
            first_config("people: {}\n---\nconfig: {a: 1}\n---\nconfig: {a: 2}\n"),
            Some(json!({"a": 1}))
        );
        assert_eq!(first_config("a: [\n"), None);
    }

    #[test]
    fn an_authors_words_cannot_break_the_table() {
        assert_eq!(markdown::cell("a | b\nc\u{1b}[2J"), "a \\| b c[2J");
    }
}
