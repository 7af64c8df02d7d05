//! The story: asked, approved by two, opened, the rule swapped, revoked.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::postgres::Postgres;
use super::stage::Stage;

/// How long anything on this machine may take before the story is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// How fast a revocation must end a live session.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);
/// The exit code of a session that was revoked.
const REVOKED: u32 = 13;
/// The exit code of what the gateway refuses.
const REFUSED: i32 = 14;

/// What is typed in the session, and what must come back.
struct Target {
    command: Vec<String>,
    secret: Option<String>,
    prompt: &'static str,
}

impl Target {
    fn of(database: Option<&Postgres>) -> Self {
        match database {
            Some(postgres) => Self {
                command: postgres.psql(),
                secret: Some(postgres.password().to_owned()),
                prompt: "postgres=#",
            },
            None => Self { command: vec!["sh".to_owned()], secret: None, prompt: "$" },
        }
    }

    /// Something to type whose answer is `21 * 2` in words that were not typed.
    fn question(&self) -> &'static str {
        if self.secret.is_some() {
            "select 'the answer is ' || 21 * 2;\n"
        } else {
            "echo the answer is $((21 * 2))\n"
        }
    }
}

/// Plays the story from beginning to end.
pub(super) async fn play(stage: &Stage, database: Option<&Postgres>) -> anyhow::Result<()> {
    let target = Target::of(database);
    chapter("root names the resource, and who must approve");
    create(stage, &target).await?;

    chapter("ann asks for two hours; she cannot approve that herself");
    let arguments = ["connect", "prod-postgres", "--duration", "2h", "--reason", "fix invoice 4711"];
    let mut session = stage.opens("ann", &arguments)?;
    show(&session.wait_for("of security", PATIENCE)?);
    let id = pending(stage, "bob").await?;
    stage.runs("ann", &["requests", "approve", &id], REFUSED).await?;

    chapter("two people approve, one of each group, and the session opens");
    stage.runs("bob", &["requests", "approve", &id, "--comment", "ok, I watch the replica"], 0).await?;
    stage.runs("sam", &["requests", "approve", &id], 0).await?;
    session.wait_for(target.prompt, PATIENCE)?;
    session.type_in(target.question())?;
    session.wait_for("the answer is 42", PATIENCE)?;
    session.wait_for(target.prompt, PATIENCE)?;
    show("the answer is 42");

    chapter("root swaps the rule's policy for another component; ann's session goes on");
    swap(stage).await?;
    session.type_in(target.question())?;
    session.wait_for("the answer is 42", PATIENCE)?;
    show("the answer is 42");

    chapter("dan's request is decided by the new policy: two people, whichever group, each saying why");
    stage.runs("dan", &["connect", "prod-postgres", "--duration", "30m", "--no-wait"], 0).await?;
    let other = pending(stage, "bob").await?;
    stage.runs("bob", &["requests", "approve", &other, "--comment", "pairing with dan"], 0).await?;
    stage.runs("bea", &["requests", "approve", &other, "--comment", "fine with me"], 0).await?;
    let decided = stage.asks("root", &["requests", "show", &other]).await?;
    expect(&decided, "/state", "APPROVED")?;
    expect(&decided, "/rules/0/policies/0/policy", "four-eyes")?;

    chapter("root takes ann's access back, and her session ends");
    let started = Instant::now();
    stage.runs("root", &["requests", "revoke", &id, "--reason", "the incident is over"], 0).await?;
    let code = session.wait_exit(PATIENCE)?;
    let took = started.elapsed();
    show(session.seen().lines().rev().find(|line| line.contains("revoked")).unwrap_or("(no word)"));
    if !session.seen().contains("revoked by root: the incident is over") {
        bail!("ann was not told why her session ended:\n{}", session.seen());
    }
    if code != REVOKED || took > REVOKED_WITHIN {
        bail!(
            "ann's session ended with {code} after {took:?}; {REVOKED} within {REVOKED_WITHIN:?} was expected"
        );
    }
    println!("      the session ended {} ms after the command was typed", took.as_millis());

    chapter("the ledger proves what happened");
    stage.runs("root", &["audit", "verify"], 0).await?;
    println!("\nEverything went as it should.");
    Ok(())
}

async fn create(stage: &Stage, target: &Target) -> anyhow::Result<()> {
    let mut words = vec!["admin", "create", "conn", "prod-postgres", "--agent", "default"];
    words.extend(["--reviewers", "dba-team,security", "--max-duration", "8h"]);
    let mut environment = Vec::new();
    if let Some(password) = &target.secret {
        words.extend(["--secret", "PGPASSWORD=env:DEMO_PASSWORD"]);
        environment.push(("DEMO_PASSWORD", password.as_str()));
    }
    words.push("--");
    words.extend(target.command.iter().map(String::as_str));
    stage.runs_with("root", &words, &environment, 0).await.map(drop)
}

/// Loads another policy and lets the rule be decided by it.
async fn swap(stage: &Stage) -> anyhow::Result<()> {
    let bundled = quorate_bundle::EXAMPLES.iter().find(|one| one.name == "four-eyes");
    let component = stage.file("four-eyes.wasm", bundled.context("four-eyes is not bundled")?.component)?;
    let load =
        ["policy", "load", &component, "--name", "four-eyes", "--activate", "--reason", "any two people"];
    stage.runs("root", &load, 0).await?;
    let rules = stage.asks("root", &["admin", "rules", "list"]).await?;
    let rules = rules.as_array().or_else(|| rules.get("items")?.as_array()).cloned().unwrap_or_default();
    let mut rule = (rules.into_iter())
        .find(|rule| rule.pointer("/access_type").and_then(Value::as_str) == Some("just-in-time"))
        .context("there is no just-in-time rule")?;
    let name = rule.pointer("/name").and_then(Value::as_str).context("a rule without a name")?.to_owned();
    if let Some(fields) = rule.as_object_mut() {
        fields.retain(|field, _| !matches!(field.as_str(), "revision" | "warnings"));
        let config = json!({ "groups": ["dba-team", "security"] });
        fields.insert("policies".to_owned(), json!([{ "policy": "four-eyes", "config": config }]));
    }
    let file = stage.file("rule.json", rule.to_string().as_bytes())?;
    stage.runs("root", &["admin", "rules", "put", &name, "-f", &file], 0).await.map(drop)
}

/// The id of the newest request that waits for `who`.
async fn pending(stage: &Stage, who: &str) -> anyhow::Result<String> {
    let waiting = stage.asks(who, &["requests", "list", "--inbox", "waiting"]).await?;
    let newest = waiting.pointer("/items/0/id").or_else(|| waiting.pointer("/0/id"));
    newest.and_then(Value::as_str).map(str::to_owned).context("no request waits")
}

fn expect(answer: &Value, pointer: &str, wanted: &str) -> anyhow::Result<()> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    if found != Some(wanted) {
        bail!("{pointer} is {found:?}, not {wanted}");
    }
    Ok(())
}

fn chapter(title: &str) {
    println!("\n── {title}");
}

/// What a terminal showed, with its colours and movements taken out.
fn show(text: &str) {
    let plain: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    for line in plain.lines().filter(|line| !line.trim().is_empty()) {
        println!("      {}", line.trim());
    }
}
