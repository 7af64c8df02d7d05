//! The record of a decision: what the policies saw, what each said, and whether they say the
//! same again.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use quorate_core::decision::{Answer, Record};
use quorate_core::ids::Digest;
use quorate_core::user::User;

use super::page::{Frame, Refusal, show};
use super::visitor::{Auditor, Nothing, Sent};
use super::words;
use crate::api::recorded;
use crate::app::App;
use crate::lifecycle::DecisionReplay;

/// What one policy said.
struct Opinion {
    rule: String,
    revision: u64,
    policy: String,
    version: Option<String>,
    config: String,
    answer: String,
    fuel_used: u64,
    log: Vec<String>,
}

#[derive(Template)]
#[template(path = "decision.html")]
struct DecisionPage {
    frame: Frame,
    digest: String,
    record: Record,
    opinions: Vec<Opinion>,
    input: String,
    replay: Option<DecisionReplay>,
}

/// The record.
pub(super) async fn page(
    Auditor(user): Auditor,
    State(app): State<App>,
    Path(digest): Path<Digest>,
) -> Result<Response, Refusal> {
    Ok(show(StatusCode::OK, &DecisionPage::of(&app, &user, digest)?))
}

/// Asks the very versions that answered again, and shows where they differ.
pub(super) async fn replay(
    State(app): State<App>,
    Path(digest): Path<Digest>,
    Sent { visitor: Auditor(user), form: Nothing {} }: Sent<Nothing, Auditor>,
) -> Result<Response, Refusal> {
    let mut page = DecisionPage::of(&app, &user, digest)?;
    page.replay = Some(app.lifecycle.replay(digest).await?);
    Ok(show(StatusCode::OK, &page))
}

impl DecisionPage {
    fn of(app: &App, user: &User, digest: Digest) -> Result<Self, Refusal> {
        let (_, record) = recorded(app, &digest)?;
        let opinions = record.rules.iter().flat_map(|rule| {
            rule.opinions.iter().map(|one| Opinion {
                rule: rule.rule.to_string(),
                revision: rule.revision,
                policy: one.policy.to_string(),
                version: one.version.map(|version| version.to_string()),
                config: one.config.clone(),
                answer: match &one.answer {
                    Answer::Verdict(verdict) => serde_json::to_string_pretty(verdict).unwrap_or_default(),
                    Answer::Fault(fault) => format!("fault: {fault}"),
                },
                fuel_used: one.fuel_used,
                log: one.log.clone(),
            })
        });
        Ok(Self {
            frame: Frame::of(user, "audit"),
            digest: digest.to_string(),
            opinions: opinions.collect(),
            input: serde_json::to_string_pretty(&record.input).unwrap_or_default(),
            record,
            replay: None,
        })
    }
}
