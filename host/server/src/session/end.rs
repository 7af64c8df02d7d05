//! Why sessions end, in words, and on the wire.

use quorate_core::Timestamp;
use quorate_core::session::{End, EndReason, Opened};

use super::wire;
use crate::agent::Exit;

/// The grant's time is over.
pub(crate) fn expired(opened: &Opened) -> End {
    let until = time_of_day(opened.until);
    let message = match opened.mode {
        quorate_core::session::Mode::Terminal => {
            format!("the time granted for {} is over: it ended at {until}", opened.resource)
        }
        quorate_core::session::Mode::Command => {
            format!("the command was ended at {until}: it took longer than a command may")
        }
    };
    End { reason: EndReason::Expired, message, exit_code: None }
}

/// The gateway goes down, or was found to have gone down.
pub(crate) fn gateway_stopped() -> End {
    let message = "the gateway stopped; connect again".to_owned();
    End { reason: EndReason::GatewayStopped, message, exit_code: None }
}

/// The command ended by itself.
pub(super) fn exited(exit: Exit) -> End {
    let message = match (exit.code, exit.signal) {
        (Some(code @ (1.. | ..=-1)), _) => format!("the program ended with exit code {code}"),
        (None, Some(signal)) => format!("the program was ended by signal {signal}"),
        (Some(0), _) | (None, None) => "the program ended".to_owned(),
    };
    End { reason: EndReason::Exited, message, exit_code: Some(exit.shell_code()) }
}

/// The client is not there any more.
pub(super) fn connection_lost(why: &str) -> End {
    End { reason: EndReason::ConnectionLost, message: why.to_owned(), exit_code: None }
}

/// The command could not be started.
pub(super) fn failed(why: &str) -> End {
    End { reason: EndReason::Failed, message: why.to_owned(), exit_code: None }
}

/// `end` as the client is told.
pub(super) fn on_the_wire(end: &End) -> wire::Ended {
    let reason = match end.reason {
        EndReason::Exited => wire::EndReason::Exited,
        EndReason::Expired => wire::EndReason::Expired,
        EndReason::Revoked => wire::EndReason::Revoked,
        EndReason::Ended => wire::EndReason::Ended,
        EndReason::GatewayStopped => wire::EndReason::GatewayStopped,
        EndReason::ConnectionLost => wire::EndReason::ConnectionLost,
        EndReason::Failed => wire::EndReason::Failed,
    };
    wire::Ended { reason, message: end.message.clone(), exit_code: end.exit_code }
}

/// `12:00:00Z`.
pub(super) fn time_of_day(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}
