//! A JavaScript project: `package.json` says what it is, `componentize-qjs` makes it a
//! component.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::tool::Steps;
use super::{About, text};
use crate::cli::exit::Failure;

/// The builder that is known to make components without clocks, randomness and network.
pub(in crate::cli) const VERSION: &str = "0.4.5";
const BUILDER: &str = "componentize-qjs";
const NO_NODE: &str = "policies in JavaScript need Node.js with npm to be built";

/// What the project is, and its component.
pub(super) async fn compile(folder: &Path, steps: &Steps<'_>) -> Result<(About, Vec<u8>), Failure> {
    let path = folder.join("package.json");
    let manifest = fs::read(&path).map_err(|error| error.to_string());
    let manifest = manifest.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
    let manifest: Value =
        manifest.map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", path.display())))?;
    let about = about(&manifest)?;
    let entry = about.entry.as_deref().unwrap_or("policy.js");
    if !folder.join(entry).is_file() {
        return Err(Failure::usage(format!("there is no `{entry}`, which `main` in package.json names")));
    }

    let installed = folder.join("node_modules/.bin").join(BUILDER);
    let mut builder = if installed.is_file() {
        steps.step(&format!("compiling {} with the {BUILDER} in node_modules", about.name));
        steps.program(installed, folder)
    } else {
        steps.step(&format!(
            "compiling {} with {BUILDER} {VERSION}, which npx installs if it must",
            about.name
        ));
        let mut npx = steps.program("npx", folder);
        npx.args(["--yes", &format!("{BUILDER}@{VERSION}")]);
        npx
    };
    let temporary = tempfile::tempdir()
        .map_err(|error| Failure::failed(format!("there is no place for temporary files: {error}")))?;
    let made = temporary.path().join("policy.wasm");
    // `--sync`: without asynchronous calls, which the engine has not. `--stub-wasi`: clocks,
    // randomness and network are not imported; whoever calls them anyway, traps.
    builder.args(["--wit", "wit", "--world", "approval-policy-v1", "--js", entry]);
    builder.args(["--sync", "--opt-size", "--stub-wasi", "-o"]).arg(&made);
    let said = steps.run(builder, NO_NODE, |_| false).await?;
    match fs::read(&made) {
        Ok(component) if said.status.success() => Ok((about, component)),
        _ => {
            let all = format!("{}{}", String::from_utf8_lossy(&said.out), said.err);
            Err(steps.said_no("it does not compile", &all))
        }
    }
}

fn about(manifest: &Value) -> Result<About, Failure> {
    let name = text(manifest, "name");
    if name.is_empty() {
        return Err(Failure::usage("package.json gives the policy no `name`"));
    }
    let repository = manifest.get("repository");
    let source = repository.map(|repository| match repository {
        Value::String(address) => address.clone(),
        other => text(other, "url"),
    });
    let entry = Some(text(manifest, "main")).filter(|entry| !entry.is_empty());
    Ok(About {
        // The scope says who publishes it, not what it is.
        name: name.rsplit('/').next().unwrap_or_default().to_owned(),
        version: text(manifest, "version"),
        description: text(manifest, "description"),
        licenses: text(manifest, "license"),
        source: source.unwrap_or_default(),
        entry,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_says_what_the_component_will() {
        let said = about(&json!({
            "name": "@acme/night-shift", "version": "1.2.0", "description": "at night", "license": "MIT",
            "repository": {"type": "git", "url": "https://example.org/night"}, "main": "src/night.js",
        }));
        let said = said.unwrap();
        assert_eq!((said.name.as_str(), said.version.as_str()), ("night-shift", "1.2.0"));
        assert_eq!((said.licenses.as_str(), said.source.as_str()), ("MIT", "https://example.org/night"));
        assert_eq!(said.entry.as_deref(), Some("src/night.js"));
        let short = about(&json!({"name": "n", "repository": "github:acme/n"})).unwrap();
        assert_eq!((short.source.as_str(), short.entry), ("github:acme/n", None));
        assert!(about(&json!({})).unwrap_err().message.contains("`name`"));
    }
}
