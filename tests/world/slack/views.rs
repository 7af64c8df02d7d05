//! The method that opens modals, and what becomes of them.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::arguments::{Arguments, Refusal};
use super::workspace::{View, Workspace};
use super::{blocks, shapes};

/// How long something that a person did can be answered with a modal.
const TRIGGER: SignedDuration = SignedDuration::from_secs(3);
const BYTES_MAX: usize = 250_000;

pub(super) fn open(workspace: &mut Workspace, arguments: &mut Arguments) -> Result<Value, Refusal> {
    let trigger_id = arguments.required("trigger_id");
    let view = arguments.json("view").unwrap_or_default();
    arguments.finish()?;
    let faults = blocks::view(&view);
    if !faults.is_empty() {
        return Err(Refusal::with("invalid_arguments", faults));
    }
    if view.to_string().len() > BYTES_MAX {
        return Err(Refusal::of("view_too_large"));
    }
    let trigger =
        workspace.triggers.get(&trigger_id).ok_or_else(|| Refusal::of("invalid_trigger_id"))?.clone();
    if trigger.used {
        return Err(Refusal::of("exchanged_trigger_id"));
    }
    if workspace.since(trigger.made) > TRIGGER {
        return Err(Refusal::of("expired_trigger_id"));
    }
    workspace.triggers.get_mut(&trigger_id).unwrap().used = true;
    let opened = workspace.show(&trigger.user, view);
    Ok(json!({ "view": shapes::view(&opened, &json!({})) }))
}

impl Workspace {
    /// Somebody has a modal before them.
    pub fn show(&mut self, user: &str, given: Value) -> View {
        let id = format!("V{:08}", self.next());
        let hash = self.ts();
        let opened = View { id, user: user.to_owned(), hash, given, open: true, errors: Value::Null };
        self.views.push(opened.clone());
        opened
    }

    /// Somebody submitted a modal, and the app answered this.
    pub fn submitted(&mut self, id: &str, answer: &Value) {
        let hash = self.ts();
        let Some(view) = self.views.iter_mut().find(|view| view.id == id) else { return };
        view.errors = Value::Null;
        match answer["response_action"].as_str() {
            Some("errors") => view.errors = answer["errors"].clone(),
            Some("update") => {
                view.given = answer["view"].clone();
                view.hash = hash;
            }
            Some("push") => {
                let user = view.user.clone();
                self.show(&user, answer["view"].clone());
            }
            Some("clear") => {
                let user = view.user.clone();
                self.views.iter_mut().filter(|view| view.user == user).for_each(|view| view.open = false);
            }
            _ => view.open = false,
        }
    }
}
