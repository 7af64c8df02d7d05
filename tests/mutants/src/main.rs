//! Flips each constant and comparison in the built-in policies, one at a time, and runs
//! their vectors natively. A flip that no vector notices survives; those that cannot be
//! noticed are named in [`EXPECTED`], each with the reason.
//!
//! ```text
//! cargo run -p mutants              # all of them, some minutes
//! cargo run -p mutants -- bypass    # one policy
//! ```

mod flip;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Context, bail};
use flip::Flip;

const POLICIES: [&str; 3] = ["group-quorum", "duration-cap", "bypass"];

/// Flips that change nothing that a policy says: policy, the line as it is, what
/// becomes of it, and why it cannot be noticed.
const EXPECTED: &[(&str, &str, &str, &str)] = &[(
    "group-quorum",
    "let complete = best.iter().all(|filled| everybody_of(filled).is_empty());",
    "let complete = best.iter().any(|filled| everybody_of(filled).is_empty());",
    "the largest sets of groups are equally large, so all of them are complete or none is",
)];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True where nothing survives but what is expected to.
fn run() -> anyhow::Result<bool> {
    let wanted: Vec<String> = env::args().skip(1).collect();
    let (mut tried, mut survivors, mut good) = (0, Vec::new(), true);
    for policy in
        POLICIES.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|one| one == name))
    {
        let ground = Ground::of(policy)?;
        if !ground.passes(&ground.source)? {
            bail!("the vectors of {policy} do not pass as they are");
        }
        let flips = flip::all(&ground.source);
        println!("{policy}: {} flips", flips.len());
        for flip in flips {
            tried += 1;
            if ground.passes(&flip.apply(&ground.source))? {
                good &= report(policy, &flip);
                survivors.push(flip);
            }
        }
    }
    println!("{tried} flips, {} noticed, {} survive", tried - survivors.len(), survivors.len());
    if wanted.is_empty() {
        good &= survivors.len() == EXPECTED.len();
    }
    Ok(good)
}

/// Says what survives; true where that is expected.
fn report(policy: &str, flip: &Flip) -> bool {
    let expected = EXPECTED.iter().find(|(of, line, becomes, _)| {
        *of == policy && *line == flip.line.trim() && *becomes == flip.to.trim()
    });
    let why = expected.map_or("NOT EXPECTED: add a vector that notices it", |(_, _, _, why)| why);
    println!(
        "  survives, line {}: {}\n      `{}` → `{}`",
        flip.number,
        why,
        flip.line.trim(),
        flip.to.trim()
    );
    expected.is_some()
}

/// A copy of one policy that can be changed and tested.
struct Ground {
    folder: PathBuf,
    target: PathBuf,
    source: String,
}

impl Ground {
    fn of(policy: &str) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let original = root.join("policies").join(policy);
        let base = root.join("target/mutants");
        let folder = base.join(policy);
        let source = fs::read_to_string(original.join("src/lib.rs"))?;
        for part in ["src", "vectors"] {
            fs::create_dir_all(folder.join(part))?;
            for file in fs::read_dir(original.join(part))? {
                let file = file?;
                fs::copy(file.path(), folder.join(part).join(file.file_name()))?;
            }
        }
        let kit = root.join("policies/kit");
        let manifest = format!(
            "[package]\nname = \"{policy}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\n\n[dependencies]\n\
             quorate-kit = {{ path = {:?} }}\nschemars = \"1.2\"\nserde = {{ version = \"1\", features = [\"derive\"] }}\n\
             serde_json = \"1\"\n\n[workspace]\n\n[profile.dev]\ndebug = 0\n",
            kit.display().to_string()
        );
        fs::write(folder.join("Cargo.toml"), manifest)?;
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        Ok(Self { folder, target: base.join("target"), source })
    }

    /// Whether the vectors pass with this source. One that does not compile is noticed.
    fn passes(&self, source: &str) -> anyhow::Result<bool> {
        fs::write(self.folder.join("src/lib.rs"), source)?;
        // A flip can make a policy loop: then the time is up, which is noticed too.
        let output = Command::new("timeout")
            .args(["300", "cargo"])
            .args(["test", "--quiet", "--lib", "--target-dir"])
            .arg(&self.target)
            .args(["--", "the_vectors_pass"])
            .current_dir(&self.folder)
            .output()
            .context("`timeout` does not start")?;
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() && !said.contains("1 passed") {
            bail!("the test `the_vectors_pass` was not found in {}", self.folder.display());
        }
        Ok(output.status.success())
    }
}
