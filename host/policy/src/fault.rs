//! From what went wrong in a call to a fault with a stable code. Nothing here is
//! ever an approval; the codes only tell people where to look.

use quorate_core::verdict::{Fault, FaultCode};
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::abi::v1::BadInput;
use crate::call::{MemoryExceeded, TableExceeded};
use crate::limits::Limits;

/// Times that one function must be among the innermost frames to call it
/// recursion; the engine keeps 20 frames.
const RECURSION_FRAMES: usize = 8;

/// The fault for `error`. `said` is what the policy logged last: a panic's text.
pub(crate) fn of(error: &wasmtime::Error, said: &str, limits: &Limits) -> Fault {
    if let Some(exceeded) = error.downcast_ref::<MemoryExceeded>() {
        return fault(FaultCode::OutOfMemory, exceeded);
    }
    if let Some(exceeded) = error.downcast_ref::<TableExceeded>() {
        return fault(FaultCode::OutOfMemory, exceeded);
    }
    if let Some(input) = error.downcast_ref::<BadInput>() {
        return fault(FaultCode::Host, input);
    }
    if let Some(full) = error.downcast_ref::<PoolConcurrencyLimitError>() {
        return fault(FaultCode::Host, full);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return of_trap(*trap, error, said, limits);
    }
    if is_answer_too_large(error) {
        let message = format!("more than {} bytes were handed back", limits.answer_bytes_max);
        return fault(FaultCode::AnswerTooLarge, message);
    }
    // What is left over: the engine could not read what the policy handed back.
    fault(FaultCode::BadAnswer, error.root_cause())
}

fn of_trap(trap: Trap, error: &wasmtime::Error, said: &str, limits: &Limits) -> Fault {
    match trap {
        Trap::OutOfFuel => {
            fault(FaultCode::OutOfFuel, format!("more than {} units of fuel", limits.fuel_max))
        }
        Trap::Interrupt => fault(FaultCode::Deadline, format!("more than {} ms", limits.evaluate_ms_max)),
        Trap::StackOverflow => {
            let message = format!("more than {} bytes of stack", limits.stack_bytes_max);
            fault(FaultCode::StackOverflow, message)
        }
        // A policy's own stack lies at the low end of its memory, and it runs out
        // before the native one does.
        Trap::MemoryOutOfBounds if is_recursion(error) => {
            fault(FaultCode::StackOverflow, "recursion ran out of the policy's own stack")
        }
        trap if said.is_empty() => fault(FaultCode::Trap, trap),
        trap => fault(FaultCode::Trap, format!("{said} ({trap})")),
    }
}

fn is_recursion(error: &wasmtime::Error) -> bool {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return false };
    let functions = || trace.frames().iter().map(wasmtime::FrameInfo::func_index);
    functions().any(|one| functions().filter(|other| one == *other).count() >= RECURSION_FRAMES)
}

/// The engine's error has a private type, so its text must do; a test with a large
/// answer notices if the text changes, and until then such an answer is a
/// `bad-answer` instead.
fn is_answer_too_large(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls has been exhausted")
}

/// A fault whose message can be shown: the text may come from the policy.
pub(crate) fn fault(code: FaultCode, message: impl std::fmt::Display) -> Fault {
    Fault { code, message: plain(&message.to_string(), 1024) }
}

/// `text` on one line, without control characters, cut to `chars_max` characters.
pub(crate) fn plain(text: &str, chars_max: usize) -> String {
    let mut plain = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == chars_max {
            plain.push('…');
            break;
        }
        plain.push(if c.is_whitespace() {
            ' '
        } else if c.is_control() {
            '\u{fffd}'
        } else {
            c
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        assert_eq!(plain(" a\n\u{1b}[31mb ", 10), "a \u{fffd}[31mb");
        assert_eq!(plain("abc", 2), "ab…");
    }
}
