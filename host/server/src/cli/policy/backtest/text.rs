//! The result of a backtest for a terminal.

use std::fmt::Write as _;

use quorate_core::backtest::Kind;
use quorate_core::duration::AccessDuration;

use super::tally::{Flip, Run, requests};
use crate::cli::words::{self, grouped};

/// How many flips of the less grave kinds are told of.
const TOLD_MAX: usize = 20;

/// What every kind of flip is called.
pub(in crate::cli::policy) const TITLES: [(&str, &str); 7] = [
    ("lets-in", "newly let in"),
    ("longer", "let in for longer"),
    ("fault", "the candidate does not answer"),
    ("config-refused", "the candidate does not take the config"),
    ("keeps-out", "no longer let in at that point"),
    ("shorter", "let in for a shorter time"),
    ("other", "decided otherwise, with nobody more or less let in"),
];

/// The result, out of cleaned texts.
pub(super) fn of(run: &Run, width: Option<u16>) -> String {
    let mut text = headline(run);
    text.push('\n');
    if run.done() == 0 && run.gap_count == 0 {
        text.push_str(
            "there was nothing to try: no recorded decision that was asked for rests on this policy\n",
        );
        return text;
    }
    text.push_str(&table(run, width));
    if run.without_facts > 0 {
        let _ = writeln!(
            text,
            "{} were recorded without a fact that the candidate asks for: to it, that one was not known",
            grouped(run.without_facts)
        );
    }
    if run.other_answers > 0 {
        let _ = writeln!(
            text,
            "{} of those with the same outcome have another answer: it waits for other people, or says more or less",
            grouped(run.other_answers)
        );
    }
    for (change, title) in TITLES {
        let flips = run.of(change);
        if !flips.is_empty() {
            section(&mut text, title, &flips);
        }
    }
    if run.flips_left_out > 0 {
        let _ = writeln!(text, "\n{} more flips are counted in the table only", grouped(run.flips_left_out));
    }
    if run.gap_count > 0 {
        let _ = writeln!(
            text,
            "\n{} decisions have no record that can be read, and were left out",
            grouped(run.gap_count)
        );
    }
    if run.done() > 0 && run.flips.is_empty() && run.gap_count == 0 {
        text.push_str("\nno decision would be another\n");
    }
    text
}

/// What was tried on what.
pub(super) fn headline(run: &Run) -> String {
    let rule = run.rule.as_ref().map(|rule| format!(" under rule {rule}")).unwrap_or_default();
    let since = run.since.map(|since| format!(" since {}", words::time(since))).unwrap_or_default();
    format!(
        "candidate {} in the place of policy {}{rule}: {} decisions{since}, {} evaluations\n",
        words::short(&run.candidate, 13),
        run.policy,
        grouped(run.decisions),
        grouped(run.evaluations)
    )
}

fn table(run: &Run, width: Option<u16>) -> String {
    let kinds = Kind::ALL.map(Kind::as_str);
    let columns: Vec<&str> =
        kinds.into_iter().filter(|kind| run.table.iter().any(|cell| cell.candidate == *kind)).collect();
    let rows = kinds.iter().filter(|kind| run.table.iter().any(|cell| cell.live == **kind)).map(|live| {
        let mut row = vec![(*live).to_owned()];
        row.extend(columns.iter().map(|candidate| match run.count(live, candidate) {
            0 => "·".to_owned(),
            count => grouped(count),
        }));
        row
    });
    let header: Vec<String> = std::iter::once("WAS \\ WOULD BE".to_owned())
        .chain(columns.iter().map(|one| one.to_uppercase()))
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    words::table(&header, rows.collect(), width)
}

fn section(text: &mut String, title: &str, flips: &[&Flip]) {
    let _ = writeln!(
        text,
        "\n{title}: {} of {}",
        words::count(flips.len(), "decision"),
        words::count(requests(flips), "request")
    );
    // Those that let somebody in are told one by one, however many there are.
    let max = if flips.iter().any(|flip| flip.is_grave()) { flips.len() } else { TOLD_MAX };
    for flip in flips.iter().take(max) {
        told(text, flip);
    }
    if flips.len() > max {
        let _ = writeln!(
            text,
            "  … and {} more: --json-file and --html have up to 20,000 of them",
            flips.len() - max
        );
    }
}

fn told(text: &mut String, flip: &Flip) {
    let reason = if flip.reason.is_empty() {
        String::new()
    } else {
        format!("  “{}”", words::short(&flip.reason, 60))
    };
    let _ = writeln!(
        text,
        "  {}  {}  {} → {}{reason}",
        words::time(flip.at),
        flip.request,
        flip.requester,
        flip.resource
    );
    let _ = writeln!(text, "    was {}: {}", flip.live, words::short(&flip.live_said, 200));
    let _ = writeln!(text, "    would be {}: {}", flip.candidate, words::short(&flip.candidate_said, 200));
    let more = more(flip);
    if !more.is_empty() {
        let _ = writeln!(text, "    {more}");
    }
}

/// Who had approved, for how long, and how much sooner.
pub(super) fn more(flip: &Flip) -> String {
    let mut words = Vec::new();
    if !flip.approvers.is_empty() {
        words.push(format!("approved by {}", words::names(&flip.approvers, 5)));
    }
    let long = |seconds: u64| AccessDuration::from_seconds(seconds).to_string();
    match (flip.live_seconds, flip.candidate_seconds) {
        (Some(before), Some(after)) if before != after => {
            words.push(format!("for {} instead of {}", long(after), long(before)));
        }
        (None, Some(after)) => words.push(format!("for {}", long(after))),
        _ => {}
    }
    words.extend(Some(flip.difference()).filter(|difference| !difference.is_empty()));
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::tally::tests::run;
    use super::*;

    #[test]
    fn p5_the_table_comes_first_and_then_each_one_who_would_be_let_in() {
        let text = of(&run(), None);
        assert!(text.contains("20 decisions, 20 evaluations"), "{text}");
        assert!(text.contains("newly let in: 3 decisions of 3 requests"), "{text}");
        assert!(text.contains("was waiting: waits for 1 of security"), "{text}");
        assert!(text.contains("approved by bob; for 2h; 5m sooner, without sam"), "{text}");
        let row = text.lines().find(|line| line.starts_with("waiting")).unwrap();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["waiting", "17", "3"]);
    }

    #[test]
    fn where_nothing_changes_that_is_said() {
        let run = Run { decisions: 1200, ..Run::default() };
        assert!(of(&run, None).contains("1,200 decisions"));
        assert!(of(&run, None).contains("no decision would be another"));
    }
}
