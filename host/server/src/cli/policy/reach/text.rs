//! Who could get in, for people to read.

use std::fmt::Write as _;

use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;

use super::{Change, Found, Reached};
use crate::cli::words;

/// Names of a list that are shown.
const NAMES: usize = 6;

pub(super) fn of(found: &Found, changes: Option<&[Change<'_>]>, bad: &[String]) -> String {
    let mut text = asked(found);
    match changes {
        Some(changes) => compared(&mut text, found, changes),
        None => all(&mut text, found),
    }
    if found.faults > 0 {
        let times = words::grouped(found.faults);
        let _ = writeln!(text, "\na policy did not answer {times} times: nobody gets in by that");
    }
    if found.gave_up {
        text.push_str("\nnot every set of people was tried: there may be more ways in\n");
    }
    if !bad.is_empty() {
        let _ = writeln!(text, "\nwith too few approvals: {}", words::names(bad, NAMES));
    }
    text
}

fn asked(found: &Found) -> String {
    let from = found.times.first().map(|at| words::time(*at)).unwrap_or_default();
    let hours = words::count(found.times.len(), "hour");
    format!(
        "{}: {} asked for {} at {hours} from {from}\n",
        found.resource,
        if found.people == 1 { "1 person".to_owned() } else { format!("{} people", found.people) },
        found.asked.join(", "),
    )
}

fn all(text: &mut String, found: &Found) {
    for approvals in 0..=2 {
        let ways: Vec<&Reached> = found.reached.iter().filter(|way| way.approvals == approvals).collect();
        let _ = writeln!(text, "\n{}", title(approvals));
        if ways.is_empty() {
            text.push_str("  nobody\n");
        }
        for way in ways {
            let _ = writeln!(text, "  {:<16} {}", way.requester, words_of(way, found));
        }
    }
    if !found.not_reached.is_empty() {
        let _ = writeln!(text, "\nnot with two or fewer: {}", words::names(&found.not_reached, NAMES));
    }
}

fn compared(text: &mut String, found: &Found, changes: &[Change<'_>]) {
    let (opens, closes): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.opens());
    for (title, list) in [("\nnewly, or for longer, or at other times", opens), ("\nno longer so", closes)] {
        let _ = writeln!(text, "{title}");
        if list.is_empty() {
            text.push_str("  nothing\n");
        }
        for change in list {
            let side = |way: Option<&Reached>| match way {
                Some(way) => words_of(way, found),
                None => "not at all".to_owned(),
            };
            let _ = writeln!(
                text,
                "  {:<16} {}: {} (before: {})",
                change.requester,
                self::title(change.approvals),
                side(change.after),
                side(change.before)
            );
        }
    }
}

fn title(approvals: usize) -> &'static str {
    match approvals {
        0 => "with nobody approving",
        1 => "with one person approving",
        _ => "with two people approving",
    }
}

fn words_of(way: &Reached, found: &Found) -> String {
    let mut words = format!("up to {}", AccessDuration::from_seconds(way.seconds_max));
    if way.asked.len() < found.asked.len() {
        let _ = write!(words, ", asking for {}", way.asked.join(", "));
    }
    if way.times.len() < found.times.len() {
        let _ = write!(words, ", at {}", hours(&way.times, &found.times));
    }
    if !way.by.is_empty() {
        let how = if way.forced { "by force of" } else { "by" };
        let _ = write!(words, ", {how} {}", words::names(&way.by, NAMES));
    }
    words
}

/// The hours of `times` as spans of those that were tried: `09:00 to 17:00 UTC`.
fn hours(times: &[Timestamp], all: &[Timestamp]) -> String {
    let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
    let mut last_place = None;
    for (place, at) in all.iter().enumerate().filter(|(_, at)| times.contains(at)) {
        match spans.last_mut() {
            Some(span) if last_place == Some(place.wrapping_sub(1)) => span.1 = *at,
            _ => spans.push((*at, *at)),
        }
        last_place = Some(place);
    }
    let told = spans.iter().take(NAMES).map(|(from, to)| {
        if from == to {
            words::time(*from)
        } else {
            format!("{} to {}", words::time(*from), words::time(*to))
        }
    });
    let mut text = told.collect::<Vec<_>>().join(", ");
    if spans.len() > NAMES {
        let _ = write!(text, " and {} more", spans.len() - NAMES);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    #[test]
    fn hours_that_follow_one_another_are_one_span() {
        let all: Vec<Timestamp> = (0..24).map(at).collect();
        let some = [at(2), at(3), at(4), at(9)];
        assert_eq!(
            hours(&some, &all),
            "1970-01-01 02:00:00 UTC to 1970-01-01 04:00:00 UTC, 1970-01-01 09:00:00 UTC"
        );
    }

    #[test]
    fn each_number_of_approvals_has_its_list() {
        let way = Reached {
            requester: "ann".to_owned(),
            approvals: 1,
            seconds_max: 7200,
            asked: vec!["1h".to_owned(), "2h".to_owned()],
            times: vec![at(0)],
            by: vec!["bob".to_owned()],
            forced: false,
        };
        let found = Found {
            resource: "prod".to_owned(),
            people: 2,
            asked: vec!["1h".to_owned(), "2h".to_owned()],
            times: vec![at(0)],
            reached: vec![way],
            not_reached: vec!["eve".to_owned()],
            ..Found::default()
        };
        let text = of(&found, None, &["ann".to_owned()]);
        assert!(text.contains("with nobody approving\n  nobody\n"), "{text}");
        assert!(text.contains("with one person approving\n  ann              up to 2h, by bob\n"), "{text}");
        assert!(text.contains("not with two or fewer: eve\n"), "{text}");
        assert!(text.contains("with too few approvals: ann\n"), "{text}");
    }
}
