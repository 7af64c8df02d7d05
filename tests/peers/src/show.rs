//! What was measured, for people and for programs.

use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::{Value, json};

use crate::engines::{About, REFERENCE};
use crate::inputs::{MAIN, Named};
use crate::measure::Times;

/// A whole run.
pub(crate) struct Run<'a> {
    /// The engines, in the order of the tables.
    pub(crate) engines: Vec<&'a About>,
    /// What they decided.
    pub(crate) inputs: &'a [Named],
    /// The times of each engine on each input.
    pub(crate) times: Vec<Vec<Times>>,
    /// How often each decided each input.
    pub(crate) rounds: u32,
}

impl Run<'_> {
    /// Tables, and what has to be said about them.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "one decision on `{MAIN}`, {} of them each, in turns; times in µs\n\n{}\n\nmedian of each input, in µs\n\n{}\n",
            self.rounds,
            self.engines_table().trim_fmt(),
            self.inputs_table().trim_fmt(),
        );
        let mut notes: Vec<&str> = self.engines.iter().filter_map(|about| about.limits).collect();
        notes.dedup();
        for note in notes {
            text.push_str("\n- ");
            text.push_str(note);
        }
        text.push('\n');
        text
    }

    fn engines_table(&self) -> Table {
        let mut table = table(
            &["ENGINE", "VERSION", "MEMORY", "SAYS MISSING", "GROUPS", "LINES", "MEDIAN", "P99", "RATIO"],
            5,
        );
        let nth_input = self.inputs.iter().position(|input| input.name == MAIN).unwrap_or_default();
        for (about, times) in self.engines.iter().zip(&self.times) {
            let Times { median, p99 } = times[nth_input];
            table.add_row([
                about.name.to_owned(),
                about.version.clone(),
                about.memory.as_str().to_owned(),
                if about.says_missing { "yes" } else { "no" }.to_owned(),
                about.groups.to_owned(),
                about.lines.to_string(),
                micros(median),
                micros(p99),
                format!("{:.2}", self.ratio(median, nth_input)),
            ]);
        }
        table
    }

    fn inputs_table(&self) -> Table {
        let names = self.inputs.iter().map(|input| input.name.to_uppercase());
        let header: Vec<String> = ["ENGINE".to_owned()].into_iter().chain(names).collect();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let mut table = table(&header, 1);
        for (about, times) in self.engines.iter().zip(&self.times) {
            let medians = times.iter().map(|times| micros(times.median));
            table.add_row([about.name.to_owned()].into_iter().chain(medians));
        }
        table
    }

    /// How many times as long as the component takes, with an instance made within.
    fn ratio(&self, median: Duration, nth_input: usize) -> f64 {
        let reference = self.engines.iter().position(|about| about.name == REFERENCE).unwrap_or_default();
        median.as_secs_f64() / self.times[reference][nth_input].median.as_secs_f64()
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let engines = self.engines.iter().zip(&self.times).map(|(about, times)| {
            let decisions = self.inputs.iter().zip(times).enumerate().map(|(nth, (input, times))| {
                json!({
                    "input": input.name,
                    "median_ns": nanos(times.median),
                    "p99_ns": nanos(times.p99),
                    "ratio": self.ratio(times.median, nth),
                })
            });
            json!({
                "name": about.name,
                "version": about.version,
                "memory": about.memory.as_str(),
                "says_missing": about.says_missing,
                "groups": about.groups,
                "lines": about.lines,
                "limits": about.limits,
                "decisions": decisions.collect::<Value>(),
            })
        });
        json!({ "rounds": self.rounds, "reference": REFERENCE, "engines": engines.collect::<Value>() })
    }
}

/// An empty table whose columns from `numbers` on are numbers.
fn table(header: &[&str], numbers: usize) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for (nth, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if nth >= numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn micros(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e6)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
