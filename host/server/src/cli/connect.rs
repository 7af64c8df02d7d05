//! `quorate connect`: a live grant is used, otherwise one is asked for and waited for; then the
//! terminal session.

use quorate_core::duration::AccessDuration;
use quorate_core::ids::ResourceName;
use serde_json::json;

use super::Context;
use super::client::{Answer, Gateway};
use super::exit::{Ending, Failure};
use super::view::Request;
use super::wait::{self, Interrupt};
use super::{run, words};

/// Open a session on a resource; asks for access first where there is none
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quorate connect prod-postgres --duration 2h
  quorate connect prod-postgres --duration 30m --reason 'fix invoice 4711'
  quorate connect prod-postgres --no-wait      # print the request's id, and go on later

While it waits, Ctrl-C cancels the request (exit code 130). Once access is open, the same
command opens another session without asking again.")]
pub(super) struct Connect {
    /// What to connect to
    pub(super) resource: ResourceName,
    /// How long: hours, minutes and seconds as in 10m, 2h or 1h30m [default: 30m]
    #[arg(long, short, allow_hyphen_values = true)]
    pub(super) duration: Option<AccessDuration>,
    /// Why, for those who approve
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
    /// Ask, print the id of the request, and exit
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Ask even where access is open already, so that it lasts longer
    #[arg(long)]
    pub(super) new: bool,
}

impl Connect {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        let mut interrupt = Interrupt::listen()?;
        if !self.new
            && let Some(answer) = live_grant(&gateway, &self.resource).await?
        {
            return self.under(context, &gateway, &answer).await;
        }
        let duration = self.duration.clone().unwrap_or_default();
        let default = if self.duration.is_none() { " (the default; --duration says how long)" } else { "" };
        context.screen.say(&format!("asking for {duration} of access to {}{default}", self.resource));
        let body = json!({"resource": self.resource, "duration": duration, "reason": self.reason});
        let answer = wait::submit(&gateway, body, &mut interrupt).await?;
        let request: Request = answer.read()?;
        if self.no_wait {
            return no_wait(context, &answer, &request, &format!("quorate connect {}", self.resource));
        }
        let request = wait::approval(context, &gateway, request, &mut interrupt).await?;
        context.screen.say(&opened(context, &request));
        drop(interrupt);
        run::terminal(context, &gateway, &request).await
    }

    async fn under(&self, context: &Context, gateway: &Gateway, answer: &Answer) -> Ending {
        let request: Request = answer.read()?;
        let words = opened(context, &request);
        context.screen.say(&format!(
            "using your open access from request {}: {words}; --new asks for more",
            request.id
        ));
        if self.no_wait {
            return context.screen.result(answer.raw(), || format!("{}\n", request.id));
        }
        run::terminal(context, gateway, &request).await
    }
}

/// The open access that lasts longest.
async fn live_grant(gateway: &Gateway, resource: &ResourceName) -> Result<Option<Answer>, Failure> {
    let grants = gateway.get(&["grants"], vec![("resource", resource.to_string())]).await?;
    Ok(grants.items().first().cloned().map(Answer::of))
}

/// Says which request was made, and how to go on.
pub(super) fn no_wait(context: &Context, answer: &Answer, request: &Request, next: &str) -> Ending {
    for warning in request.warnings() {
        context.screen.say(&format!("note: {warning}"));
    }
    if request.is_pending() {
        for line in request.missing() {
            context.screen.say(&format!("needs {line}"));
        }
        context.screen.say(&format!("once it is approved at {}: {next}", request.url));
    } else {
        context.screen.say(&request.state.to_lowercase());
    }
    let ended = wait::conclude(request.clone()).err().filter(|_| !request.is_pending());
    match ended {
        Some(failure) => Err(failure),
        None => context.screen.result(answer.raw(), || format!("{}\n", request.id)),
    }
}

fn opened(context: &Context, request: &Request) -> String {
    let until = request.granted.as_ref().map_or(String::new(), |granted| {
        let left = words::between(context.clock.now(), granted.until);
        format!(", open until {} ({left})", words::time(granted.until))
    });
    format!("{}{until}", request.approved_by())
}
