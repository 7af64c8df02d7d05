//! The command line as people type it.

use super::*;

fn parse(line: &[&str]) -> Result<Verb, String> {
    let words = std::iter::once("quorate").chain(line.iter().copied());
    Cli::try_parse_from(words).map(|cli| cli.verb).map_err(|error| one_line(&error.render().to_string()))
}

fn refused(line: &[&str]) -> String {
    parse(line).map(|verb| format!("{verb:?} was accepted")).unwrap_err()
}

#[test]
fn the_grammar_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn d1_the_documented_durations_are_accepted() {
    for duration in ["10m", "30m", "1h", "2h", "8h", "24h", "90m", "1h30m"] {
        let Ok(Verb::Connect(connect)) = parse(&["connect", "prod-postgres", "--duration", duration]) else {
            panic!("{duration} was refused");
        };
        assert_eq!(connect.duration.unwrap().to_string(), duration);
    }
}

#[test]
fn d2_other_durations_are_a_usage_error_with_the_accepted_forms() {
    for duration in ["0s", "-1h", "2", "2 hours", "59s", "999999h", "", "2h2h"] {
        let line = refused(&["connect", "prod", "--duration", duration]);
        assert!(line.contains("10m, 2h or 1h30m") && line.contains("60s") && !line.contains('\n'), "{line}");
    }
}

#[test]
fn d6_without_a_duration_the_default_is_thirty_minutes() {
    let Ok(Verb::Connect(connect)) = parse(&["connect", "prod"]) else { panic!("refused") };
    assert_eq!(connect.duration.unwrap_or_default().to_string(), "30m");
}

#[test]
fn a_command_comes_with_input_and_arguments() {
    let Ok(Verb::Exec(exec)) = parse(&["exec", "prod", "-i", "select 1", "--", "--csv", "-q"]) else {
        panic!("refused")
    };
    assert_eq!(
        (exec.input.as_deref(), exec.arguments),
        (Some("select 1"), vec!["--csv".to_owned(), "-q".to_owned()])
    );
    let Ok(Verb::Exec(exec)) = parse(&["exec", "prod", "-i", "-"]) else { panic!("refused") };
    assert_eq!(exec.input.as_deref(), Some("-"));
    let Ok(Verb::Exec(exec)) = parse(&["exec", "--request", "7k2m"]) else { panic!("refused") };
    assert!(exec.resource.is_none());
    assert!(refused(&["exec"]).contains("<RESOURCE>"));
}

#[test]
fn b2_forcing_takes_a_comment_and_rejecting_does_not() {
    assert!(refused(&["requests", "approve", "r1", "--force"]).contains("--comment"));
    assert!(parse(&["requests", "approve", "r1", "--force", "--comment", "site is down"]).is_ok());
    assert!(parse(&["requests", "reject", "r1"]).is_ok());
}

#[test]
fn every_documented_line_is_understood() {
    for line in [
        "serve --listen 0.0.0.0:8600 --data /var/lib/quorate --public-url https://q.example.org",
        "login --url https://quorate.example.org",
        "setup --url http://127.0.0.1:8600 --user root",
        "--json me",
        "connect prod-postgres --duration 2h",
        "connect prod-postgres --no-wait --json",
        "requests list --inbox waiting --state pending,APPROVED --type command",
        "requests show r1 --timeline",
        "requests revoke r1 --reason incident",
        "requests explain r1 --json",
        "sessions list --all --user ann",
        "sessions end s1 --reason enough",
        "admin users create ann --email ann@example.org --group dev --password-stdin",
        "admin users set ann --add-group sre --remove-group dev",
        "admin groups add security sam sue",
        "admin rules put -f rule.yaml",
        "admin resources delete prod --yes",
        "admin apply -f gateway.yaml --dry-run",
        "admin tokens create nightly --expires-in 720h",
        "policy load four-eyes.wasm --name four-eyes --activate --reason why",
        "policy activate four-eyes abcdef12",
        "policy inspect four-eyes.wasm",
        "policy backtest new.wasm --policy group-quorum --rule prod --since 90d --html r.html --resume",
        "policy backtest group-quorum@abcdef12 --json-file r.json --allow-gaps",
        "decisions show r1",
        "decisions replay r1",
        "decisions replay --all --since 30d --json",
        "policy new my-policy --lang python --template quorum --in policies",
        "policy build",
        "policy build my-policy --out out.wasm --json",
        "policy schema my-policy.wasm",
        "policy docs my-policy",
        "audit verify --ledger quorate-data/ledger.sqlite",
        "audit export",
        "completions zsh",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(parse(&words).is_ok(), "{line}: {:?}", parse(&words).err());
    }
}

#[test]
fn a_mistake_is_one_line_that_names_the_right_help() {
    let line = refused(&["connect", "prod", "--durationn", "2h"]);
    assert!(
        line.contains("'--durationn'")
            && line.contains("--duration")
            && line.ends_with("see `quorate connect --help`"),
        "{line}"
    );
    let line = refused(&["requests", "aprove", "r1"]);
    assert!(line.contains("approve") && line.ends_with("see `quorate requests --help`"), "{line}");
    let line = refused(&["connect"]);
    assert!(line.contains("<RESOURCE>") && !line.contains('\n'), "{line}");
}

#[test]
fn hostile_names_are_refused_and_shown_without_what_steers_a_terminal() {
    for name in ["../../etc", "a b", "prod\u{1b}[2J", "prod\n", "prod\u{202e}"] {
        let line = Failure::usage(refused(&["connect", name])).line();
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
}

#[test]
fn the_help_lists_every_exit_code() {
    let help = Cli::command().render_help().to_string();
    for (exit, meaning) in Exit::ALL {
        assert!(help.contains(&format!("{:>3}  {meaning}", exit.code())), "{help}");
    }
}

#[test]
fn completions_know_the_verbs() {
    let mut script = Vec::new();
    clap_complete::generate(Shell::Bash, &mut Cli::command(), "quorate", &mut script);
    let script = String::from_utf8(script).unwrap();
    assert!(script.contains("connect") && script.contains("--duration") && !script.contains("agent-exec"));
}
