//! `quorate policy test`: an author's vector files on the component, with the gateway's
//! own evaluator. No gateway is needed.

mod update;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use quorate_kit::vectors::{Failure as Story, File, Tried};
use quorate_policy::vectors;
use serde_json::{Value, json};

use super::component::{self, Component};
use crate::cli::Context;
use crate::cli::exit::{Ending, Failure, NOT_HELD};
use crate::cli::words::{self, Paint};

/// How often files are looked at.
const WATCH_MS: u64 = 200;

/// What to test.
#[derive(Debug, Args)]
#[command(after_help = "\
With --update only values of `expect` and `check` that are no longer so are replaced; comments, order
and layout stay, and each change is shown. Read them: what a policy says is not yet what it should
say. A file is left as it is where that is not safe: where rows of a table share what they expect,
or the policy does not answer.

Examples:
  quorate policy test                       # the project in this folder, its vectors/
  quorate policy test quorum.wasm --vectors vectors/
  quorate policy test --update              # after a change that was meant; then read `git diff`

Exit codes: 0 all pass, 1 some do not, 2 a file cannot be used.")]
pub(in crate::cli) struct Test {
    /// A component, or the folder of a policy project, which is built first
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Vector files, or folders of them; else those of the project, or those in the component
    #[arg(long, value_name = "FILE")]
    vectors: Vec<PathBuf>,
    /// Test again whenever a file changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Write an XML report for CI systems (`JUnit`) as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write what the policy says now into the vector files, where a case goes otherwise
    #[arg(long, conflicts_with_all = ["watch", "junit"])]
    update: bool,
}

/// One vector file that was tried.
struct Report {
    file: String,
    tried: Vec<Tried>,
}

impl Test {
    /// Runs the verb. Ends with 1 where a case goes otherwise.
    pub(super) async fn run(self, context: &Context) -> Ending {
        if self.update {
            return update::run(context, &self.path, &self.vectors).await;
        }
        if !self.watch {
            return self.once(context).await;
        }
        if context.screen.json {
            return Err(Failure::usage(
                "`--watch` is for people, `--json` is for programs: give one of them",
            ));
        }
        loop {
            let seen = self.changed_at();
            if let Err(failure) = self.once(context).await {
                context.screen.fail(&failure);
            }
            context.screen.say(&context.screen.err.dim("waiting for a change; Ctrl-C ends"));
            while self.changed_at() == seen {
                tokio::time::sleep(Duration::from_millis(WATCH_MS)).await;
            }
        }
    }

    async fn once(&self, context: &Context) -> Ending {
        let Component { bytes, vectors: carried } = component::of(context, &self.path).await?;
        let files = self.files(carried)?;
        let reports = tokio::task::spawn_blocking(move || reports(&bytes, &files)).await;
        let reports = reports.map_err(|error| Failure::failed(error.to_string()))??;
        if let Some(path) = &self.junit {
            let written = std::fs::write(path, junit(&reports));
            written.map_err(|error| {
                Failure::usage(format!("`{}` cannot be written: {error}", path.display()))
            })?;
        }
        let failed = reports.iter().flat_map(|report| &report.tried).any(|one| one.result.is_err());
        context.screen.result(&as_json(&reports), || in_words(&reports, context.screen.out))?;
        Ok(if failed { NOT_HELD } else { 0 })
    }

    /// The vector files by name: those that are given, or else those that are found.
    fn files(&self, found: Vec<(String, String)>) -> Result<Vec<(String, String)>, Failure> {
        let mut files = found;
        if !self.vectors.is_empty() {
            files = component::vector_files(&self.vectors)?;
            if files.is_empty() {
                return Err(Failure::usage(format!("`{}` holds no YAML file", self.vectors[0].display())));
            }
        }
        if files.is_empty() {
            return Err(Failure::usage(format!(
                "`{}` has no vectors: give some with --vectors",
                self.path.display()
            )));
        }
        Ok(files)
    }

    /// When the newest of the files that matter was changed, and how many there are.
    fn changed_at(&self) -> (Option<SystemTime>, usize) {
        let mut seen = (None, 0);
        let mut left: Vec<PathBuf> = self.vectors.iter().chain([&self.path]).cloned().collect();
        while let Some(path) = left.pop() {
            let Ok(about) = std::fs::metadata(&path) else { continue };
            if !about.is_dir() {
                seen = (seen.0.max(about.modified().ok()), seen.1 + 1);
            } else if !is_output(&path) {
                let inside = std::fs::read_dir(&path).into_iter().flatten().flatten();
                left.extend(inside.map(|entry| entry.path()));
            }
        }
        seen
    }
}

/// A folder that building writes to.
fn is_output(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name == "target" || name == "node_modules" || (name.starts_with('.') && name.len() > 1 && name != "..")
}

/// Loads the component and puts all cases to it.
fn reports(component: &[u8], files: &[(String, String)]) -> Result<Vec<Report>, Failure> {
    let policy = super::loaded(component)?;
    let mut reports: Vec<Report> = Vec::new();
    for (file, part) in component::documents(files, File::parse_strictly)? {
        let tried = vectors::run(&part, &policy).map_err(|error| component::refused(file, error))?;
        match reports.last_mut().filter(|report| report.file == file) {
            Some(report) => report.tried.extend(tried),
            None => reports.push(Report { file: file.to_owned(), tried }),
        }
    }
    Ok(reports)
}

fn in_words(reports: &[Report], paint: Paint) -> String {
    let mut text = String::new();
    for Report { file, tried } in reports {
        let _ = writeln!(text, "{}", words::clean(file));
        for one in tried {
            let name = words::clean(&one.name);
            match &one.result {
                Ok(()) => drop(writeln!(text, "  {} {name}", paint.green("✓"))),
                Err(story) => {
                    let _ = writeln!(text, "  {} {name}", paint.red("✗"));
                    for line in story.to_string().lines() {
                        let clean = words::clean(line);
                        let line = match clean.trim_start().chars().next() {
                            Some('-') => paint.red(&clean),
                            Some('+') => paint.green(&clean),
                            _ => clean,
                        };
                        let _ = writeln!(text, "    {line}");
                    }
                }
            }
        }
    }
    let Counts { cases, failed, evaluations } = Counts::of(reports);
    let passed = cases - failed;
    let outcome = if failed == 0 { paint.green("all pass") } else { paint.red(&format!("{failed} fail")) };
    let _ = writeln!(
        text,
        "{}: {outcome}, {passed} as expected ({})",
        words::count(cases, "case"),
        words::count(evaluations, "evaluation")
    );
    text
}

struct Counts {
    cases: usize,
    failed: usize,
    evaluations: usize,
}

impl Counts {
    fn of(reports: &[Report]) -> Self {
        let all = || reports.iter().flat_map(|report| &report.tried);
        Self {
            cases: all().count(),
            failed: all().filter(|one| one.result.is_err()).count(),
            evaluations: all().map(|one| one.evaluations).sum(),
        }
    }
}

fn as_json(reports: &[Report]) -> Value {
    let story = |story: &Story| {
        let differences = story
            .differences
            .iter()
            .map(|one| json!({"what": one.what, "expected": one.expected, "got": one.got}));
        json!({"story": story.story, "differences": differences.collect::<Vec<_>>()})
    };
    let case = |one: &Tried| {
        json!({
            "name": one.name, "evaluations": one.evaluations, "passed": one.result.is_ok(),
            "failure": one.result.as_ref().err().map(story),
        })
    };
    let files = reports.iter().map(
        |report| json!({"file": report.file, "cases": report.tried.iter().map(case).collect::<Vec<_>>()}),
    );
    let Counts { cases, failed, evaluations } = Counts::of(reports);
    json!({
        "files": files.collect::<Vec<_>>(), "cases": cases, "failed": failed, "evaluations": evaluations,
    })
}

/// The report as XML in the form of `JUnit`, as CI systems read it.
fn junit(reports: &[Report]) -> String {
    let total = Counts::of(reports);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(text, "<testsuites tests=\"{}\" failures=\"{}\">", total.cases, total.failed);
    for report in reports {
        let counts = Counts::of(std::slice::from_ref(report));
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\">",
            xml(&report.file),
            counts.cases,
            counts.failed
        );
        for one in &report.tried {
            let _ = write!(text, "    <testcase name=\"{}\"", xml(&one.name));
            let _ = match &one.result {
                Ok(()) => writeln!(text, "/>"),
                Err(story) => {
                    let first = story.differences.first().map_or("", |one| one.what);
                    writeln!(
                        text,
                        "><failure message=\"{}\">{}</failure></testcase>",
                        xml(first),
                        xml(&story.to_string())
                    )
                }
            };
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// A text inside of XML, where control characters cannot be.
fn xml(text: &str) -> String {
    let clean: Vec<String> = text.lines().map(words::clean).collect();
    let mut out = String::with_capacity(text.len());
    for c in clean.join("\n").chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: &str = "\
people: {ann: [dev], bob: [dba]}
config: {groups: [dba]}
cases:
  - {name: \"bob & co <is> enough\", requester: ann, approvals: [bob], expect: approve}
  - {name: nobody is enough, requester: ann, expect: approve}
";

    fn tried() -> Vec<Report> {
        let built_in = quorate_bundle::BUILT_IN.iter().find(|one| one.name == "group-quorum").unwrap();
        reports(built_in.component, &[("quorum.yaml".to_owned(), VECTORS.to_owned())]).unwrap()
    }

    #[test]
    fn a_report_for_people_tells_the_story_of_what_fails() {
        let text = in_words(&tried(), Paint(false));
        assert!(text.starts_with("quorum.yaml\n  ✓ bob & co <is> enough\n  ✗ nobody is enough\n"), "{text}");
        assert!(text.contains("the policy says wait: 1 of dba"), "{text}");
        assert!(text.ends_with("2 cases: 1 fail, 1 as expected (2 evaluations)\n"), "{text}");
    }

    #[test]
    fn a_report_for_programs_counts_and_names_what_fails() {
        let value = as_json(&tried());
        assert_eq!((&value["cases"], &value["failed"]), (&json!(2), &json!(1)));
        assert_eq!(value["files"][0]["cases"][1]["failure"]["differences"][0]["got"], "wait");
    }

    #[test]
    fn a_junit_report_is_escaped() {
        let text = junit(&tried());
        assert!(text.contains("<testcase name=\"bob &amp; co &lt;is&gt; enough\"/>"), "{text}");
        assert!(text.contains("<testsuite name=\"quorum.yaml\" tests=\"2\" failures=\"1\">"), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let built_in = &quorate_bundle::BUILT_IN[0];
        let file = ("a.yaml".to_owned(), "poeple: {}".to_owned());
        let failure = reports(built_in.component, &[file]).err().unwrap();
        assert!(
            failure.message.contains("`a.yaml`") && failure.message.contains("`people`"),
            "{}",
            failure.message
        );
    }
}
