//! `quorate exec`: one command, approved as it stands, run once.

use std::io::{IsTerminal as _, Read as _};

use quorate_core::ids::{RequestId, ResourceName};
use quorate_core::request::COMMAND_BYTES_MAX;
use serde_json::json;

use super::Context;
use super::client::Gateway;
use super::exit::{Ending, Exit, Failure};
use super::view::{Command, Request};
use super::wait::{self, Interrupt};
use super::{connect, run};

/// Run one command on a resource, once it is approved exactly as it stands
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quorate exec prod-postgres -i 'select count(*) from invoices'
  quorate exec prod-postgres < report.sql
  quorate exec prod-postgres -i 'select 1' -- --csv     # arguments for the resource's program
  quorate exec prod-postgres -i 'select 1' --no-wait    # ask now …
  quorate exec --request 7k2m…                          # … and run later, once, what was approved

Standard output, standard error and the exit code are those of the command.")]
pub(super) struct Exec {
    /// Where to run it
    #[arg(required_unless_present = "request")]
    pub(super) resource: Option<ResourceName>,
    /// What the command reads; `-` for standard input, which is also read where it is no terminal
    #[arg(long, short, allow_hyphen_values = true)]
    pub(super) input: Option<String>,
    /// Why, for those who approve
    #[arg(long, short, default_value = "", hide_default_value = true, conflicts_with = "request")]
    pub(super) reason: String,
    /// Ask, print the id of the request, and exit
    #[arg(long, conflicts_with = "request")]
    pub(super) no_wait: bool,
    /// Run what was approved under this id; an input or arguments given as well must be the same
    #[arg(long, value_name = "ID")]
    pub(super) request: Option<RequestId>,
    /// Arguments that are added to the resource's program
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(super) arguments: Vec<String>,
}

impl Exec {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        if let Some(id) = &self.request {
            return self.run_approved(context, &gateway, id).await;
        }
        let Some(resource) = &self.resource else {
            return Err(Failure::usage("name the resource: quorate exec RESOURCE -i INPUT"));
        };
        let command = self.command()?;
        let mut interrupt = Interrupt::listen()?;
        context.screen.say(&format!("asking to run {} on {resource}", command.in_short()));
        let asked = json!({"text": command.text, "arguments": command.arguments});
        let body = json!({"resource": resource, "command": asked, "reason": self.reason});
        let answer = wait::submit(&gateway, body, &mut interrupt).await?;
        let request: Request = answer.read()?;
        if self.no_wait {
            return connect::no_wait(
                context,
                &answer,
                &request,
                &format!("quorate exec --request {}", request.id),
            );
        }
        let request = wait::approval(context, &gateway, request, &mut interrupt).await?;
        context.screen.say(&request.approved_by());
        drop(interrupt);
        run::command(context, &gateway, &request.id, &command).await
    }

    async fn run_approved(&self, context: &Context, gateway: &Gateway, id: &RequestId) -> Ending {
        let answer = gateway.get(&["requests", id.as_str()], Vec::new()).await?;
        let request: Request = answer.read()?;
        if let Some(resource) = self.resource.as_ref().filter(|named| named.as_str() != request.resource) {
            let why =
                format!("request {id} is for {}, not for {resource}: nothing was run", request.resource);
            return Err(Failure::new(Exit::Refused, why));
        }
        // As it was asked, byte for byte: what is cleaned is only for showing.
        let asked = answer.raw().get("command").cloned().unwrap_or_default();
        let Ok(approved) = serde_json::from_value::<Command>(asked) else {
            let hint = format!(
                "request {id} is for a time window, not for a command: quorate connect {}",
                request.resource
            );
            return Err(Failure::new(Exit::Refused, hint));
        };
        let given = !self.arguments.is_empty() || self.input.is_some();
        let command = if given { self.command()? } else { approved };
        let mut interrupt = Interrupt::listen()?;
        let request = wait::approval(context, gateway, request, &mut interrupt).await?;
        drop(interrupt);
        run::command(context, gateway, &request.id, &command).await
    }

    /// What is to run.
    fn command(&self) -> Result<Command, Failure> {
        let stdin = std::io::stdin();
        let text = match self.input.as_deref() {
            Some("-") => read(stdin.lock())?,
            Some(text) => text.to_owned(),
            None if !stdin.is_terminal() => read(stdin.lock())?,
            None => String::new(),
        };
        check(Command { text, arguments: self.arguments.clone() })
    }
}

fn check(command: Command) -> Result<Command, Failure> {
    if command.text.trim().is_empty() && command.arguments.is_empty() {
        return Err(Failure::usage(
            "nothing to run: give the input with -i 'select 1', pipe it in, or give arguments after `--`",
        ));
    }
    if command.text.len() > COMMAND_BYTES_MAX {
        return Err(too_long());
    }
    Ok(command)
}

fn too_long() -> Failure {
    Failure::usage(format!("the input is too long: at most {COMMAND_BYTES_MAX} bytes can be approved"))
}

fn read(from: impl std::io::Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let limit = COMMAND_BYTES_MAX as u64 + 1;
    let done = from.take(limit).read_to_end(&mut bytes);
    done.map_err(|error| Failure::failed(format!("standard input cannot be read: {error}")))?;
    if bytes.len() > COMMAND_BYTES_MAX {
        return Err(too_long());
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::usage("the input is not text in UTF-8: nobody could read what they approve"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_could_read_or_approve_is_refused_before_it_is_asked() {
        assert_eq!(read(&b"select 1\n"[..]).unwrap(), "select 1\n");
        assert!(read(&b"\xff\xfe"[..]).unwrap_err().message.contains("UTF-8"));
        assert!(read(std::io::repeat(b'x')).unwrap_err().message.contains("too long"));
        let empty = check(Command { text: " \n".into(), arguments: Vec::new() }).unwrap_err();
        assert_eq!(empty.exit, Exit::Usage);
        assert!(check(Command { text: String::new(), arguments: vec!["--version".into()] }).is_ok());
    }
}
