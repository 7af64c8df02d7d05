//! Turns a policy's module into a component:
//!
//! ```text
//! cargo run -p quorate-bundle --example componentize -- my_policy.wasm my-policy.component.wasm
//! ```

#[path = "../src/encode.rs"]
mod encode;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, bail};
use encode::Metadata;

fn main() -> ExitCode {
    match componentize() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn componentize() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, to] = arguments.as_slice() else {
        bail!("usage: componentize <module.wasm> <component.wasm>");
    };
    let name = from.file_stem().unwrap_or_default().to_string_lossy().replace('_', "-");
    let metadata = Metadata { name: &name, version: "", description: "", licenses: "" };
    let module = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let component = encode::encode(&module, &metadata)?;
    fs::write(to, &component).with_context(|| format!("cannot write {}", to.display()))?;
    println!("{}: {name}, {} bytes", to.display(), component.len());
    Ok(())
}
