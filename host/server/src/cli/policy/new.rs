//! `quorate policy new`: a project that builds and passes its own vectors, made without a
//! network.
//!
//! Not here: what the files say; that is in `policies/templates` and in the kit.

mod files;

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::{Args, ValueEnum};
use quorate_core::ids::PolicyName;
use serde_json::json;

use crate::cli::Context;
use crate::cli::exit::{Ending, Failure};
use crate::cli::words;

/// The longest name of a project: as long as a policy's may be.
const NAME_BYTES_MAX: usize = quorate_core::ids::NAME_BYTES_MAX;

/// Make a project for a policy: source, vectors, the contract, a README and a CI file
#[derive(Debug, Args)]
#[command(after_help = "\
Templates:
  quorum  so many different people out of some groups must approve
  cap     the longest access, for everybody and per group
  bypass  who needs no approval, or may give it alone, with a reason
  blank   abstains: everything is yours to write

Examples:
  quorate policy new my-policy                          # Rust, the template quorum
  quorate policy new office-cap --template cap --lang js
  quorate policy new my-policy --lang python --in ~/policies")]
pub(in crate::cli) struct New {
    /// The policy's name, and that of its folder
    name: String,
    /// The language it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// What to start from
    #[arg(long, value_enum, default_value_t = Template::Quorum)]
    template: Template,
    /// The folder to make the project's folder in
    #[arg(long = "in", value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// A language that policies are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Language {
    /// The fastest, and the smallest components
    Rust,
    /// On `QuickJS`; needs Node.js to build
    #[value(name = "js", alias = "javascript")]
    JavaScript,
    /// On `CPython`; needs Python 3.11 to build
    Python,
}

/// What a project starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Template {
    /// So many different people out of some groups
    Quorum,
    /// The longest access
    Cap,
    /// Who needs no approval
    Bypass,
    /// Nothing yet
    Blank,
}

impl Language {
    /// The name that people use.
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
        }
    }
}

impl Template {
    /// The word for it on the command line.
    fn word(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Cap => "cap",
            Self::Bypass => "bypass",
            Self::Blank => "blank",
        }
    }

    /// What the policy does, in a sentence without its full stop.
    fn about(self) -> &'static str {
        match self {
            Self::Quorum => "Enough different people out of some groups must approve",
            Self::Cap => "The longest access, for everybody and per group",
            Self::Bypass => "Who needs no approval, or may give it alone, with a reason",
            Self::Blank => "Abstains: a policy to be written",
        }
    }
}

impl New {
    /// Runs the verb.
    pub(in crate::cli) fn run(self, context: &Context) -> Ending {
        let Self { name, lang, template, folder } = self;
        check_name(&name, lang)?;
        let files = files::of(&name, lang, template);
        let project = if folder == Path::new(".") { PathBuf::from(&name) } else { folder.join(&name) };
        make(&folder, &project, &files)?;
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let made = json!({
            "name": name, "folder": project, "language": lang.name(), "template": template.word(),
            "files": paths,
        });
        context.screen.result(&made, || {
            let shown = words::clean(&project.display().to_string());
            let cd = words::command_line(&["cd".to_owned(), shown.clone()]);
            format!(
                "{shown}: a policy in {}, {} files\n{}\n\nnext:\n  {cd}\n  quorate policy build\n  \
                 quorate policy test\n",
                lang.name(),
                paths.len(),
                template.about(),
            )
        })
    }
}

/// One file of a project.
#[derive(Debug)]
struct File {
    /// Where it is, seen from the project's folder.
    path: String,
    text: String,
}

/// Writes all of it, or nothing: the folder appears when it is whole.
fn make(parent: &Path, project: &Path, files: &[File]) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::failed(format!("the folder `{}` cannot be made: {error}", project.display()))
    };
    match fs::read_dir(project) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(Failure::usage(format!(
                    "the folder `{}` exists and is not empty: choose another name, or another folder with --in",
                    project.display()
                )));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(Failure::usage(format!("`{}` exists and is not a folder", project.display())));
        }
        Err(error) => return Err(failed(error)),
    }
    fs::create_dir_all(parent).map_err(failed)?;
    let unfinished = tempfile::Builder::new().prefix(".quorate-new-").tempdir_in(parent).map_err(failed)?;
    let inside = unfinished.path().join("project");
    for file in files {
        let path = inside.join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(&path, &file.text).map_err(failed)?;
    }
    fs::rename(&inside, project).map_err(failed)
}

/// Demands a name that is good for a policy, a folder, and a package of the language.
fn check_name(name: &str, language: Language) -> Result<(), Failure> {
    let refuse = |what: &str| {
        let suggested = suggestion(name, language);
        Failure::usage(format!("`{name}` {what}: `{suggested}` would do"))
    };
    if name.parse::<PolicyName>().is_err() {
        return Err(refuse("cannot be the name of a policy"));
    }
    match package_problem(name, language) {
        Some(problem) => Err(refuse(&problem)),
        None => Ok(()),
    }
}

/// What keeps a policy's name from being that of a package.
fn package_problem(name: &str, language: Language) -> Option<String> {
    let package = match language {
        Language::Rust => "crate",
        Language::JavaScript | Language::Python => "package",
    };
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
    if !fits {
        return Some(format!(
            "cannot be the name of a {package} (lower-case letters, digits, `-` and `_`, beginning with a letter)"
        ));
    }
    let taken = match language {
        Language::Rust => RUST_WORDS.contains(&name.replace('-', "_").as_str()) || files::is_dependency(name),
        // What a project's own files are called.
        Language::JavaScript | Language::Python => matches!(name, "quorate" | "policy" | "wit_world"),
    };
    taken.then(|| format!("cannot be the name of a {package}, since something else has it"))
}

/// Keywords, and crates that are always there.
const RUST_WORDS: [&str; 57] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tests",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// A name that would be taken, as close to `name` as can be.
fn suggestion(name: &str, language: Language) -> String {
    let mut plain = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            plain.push(c.to_ascii_lowercase());
        } else if !plain.ends_with('-') {
            plain.push('-');
        }
    }
    plain.truncate(NAME_BYTES_MAX - "my--policy".len());
    let plain = plain.trim_matches('-');
    if plain.is_empty() {
        return "my-policy".to_owned();
    }
    let candidates = [plain.to_owned(), format!("my-{plain}"), format!("my-{plain}-policy")];
    let good =
        |name: &&String| name.parse::<PolicyName>().is_ok() && package_problem(name, language).is_none();
    candidates.iter().find(good).cloned().unwrap_or_else(|| "my-policy".to_owned())
}

#[cfg(test)]
mod tests;
