//! What stands beside an instance during one call: the account of its memory, and
//! what it logs. [`crate::engine`] puts it into every store.

use wasmtime::{ResourceLimiter, StoreContextMut, component::WasmStr};

use crate::limits::Limits;

/// Elements of one table: generous, since interpreters compiled to Wasm keep one
/// per function, and small beside the memory limit.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Fuel for one log call, over and above one unit per byte: the host's work has
/// its price too, or a loop of log calls would be nearly free.
const LOG_FUEL: u64 = 200;

/// Bytes kept of the last message, whatever the budget: a panic must be readable
/// after a flood.
const LAST_BYTES_MAX: usize = 1024;

/// The data of one store.
pub(crate) struct Call {
    pub(crate) memory: Memory,
    pub(crate) log: Log,
}

impl Call {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { memory: Memory { bytes: 0, bytes_max: limits.memory_bytes_max }, log: Log::new(limits) }
    }
}

/// The `log` function of the contract. The text is read in place and only what is
/// kept is copied.
pub(crate) fn log(mut store: StoreContextMut<'_, Call>, (message,): (WasmStr,)) -> wasmtime::Result<()> {
    let text = message.to_str(&store)?;
    let price = LOG_FUEL.saturating_add(text.len() as u64);
    let room = store.data().log.bytes_left.max(LAST_BYTES_MAX);
    let whole = text.len() <= room;
    let kept = text[..text.floor_char_boundary(room)].to_owned();
    let fuel = store.get_fuel()?.saturating_sub(price);
    store.set_fuel(fuel)?;
    store.data_mut().log.write(kept, whole);
    Ok(())
}

/// What one call logged, as far as the budget goes.
pub(crate) struct Log {
    lines: Vec<String>,
    lines_left: usize,
    bytes_left: usize,
    cut: bool,
    last: String,
}

impl Log {
    /// An empty one.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            lines: Vec::new(),
            lines_left: limits.log_lines_max,
            bytes_left: limits.log_bytes_max,
            cut: false,
            last: String::new(),
        }
    }

    fn write(&mut self, mut message: String, whole: bool) {
        message[..message.floor_char_boundary(LAST_BYTES_MAX)].clone_into(&mut self.last);
        let room = message.floor_char_boundary(self.bytes_left);
        self.cut |= !whole || room < message.len() || self.lines_left == 0;
        if self.lines_left == 0 || (room == 0 && !message.is_empty()) {
            return;
        }
        message.truncate(room);
        self.lines_left -= 1;
        self.bytes_left -= room;
        self.lines.push(message);
    }

    /// The last message: after a panic, what it said.
    pub(crate) fn last(&self) -> &str {
        &self.last
    }

    /// The lines, and a note where some are missing.
    pub(crate) fn take_lines(&mut self, limits: &Limits) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.lines);
        if self.cut {
            lines.push(format!(
                "(more was logged; {} lines and {} bytes are kept)",
                limits.log_lines_max, limits.log_bytes_max
            ));
        }
        lines
    }
}

/// The account of one store's linear memories.
pub(crate) struct Memory {
    bytes: usize,
    bytes_max: usize,
}

impl Memory {
    /// The most that was in use; memories never shrink.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// More memory than allowed was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{wanted} bytes of memory were asked for, {max} are allowed")]
pub(crate) struct MemoryExceeded {
    wanted: usize,
    max: usize,
}

/// A larger table than allowed was asked for.
#[derive(Debug, thiserror::Error)]
#[error("a table of {wanted} elements was asked for, {TABLE_ELEMENTS_MAX} are allowed")]
pub(crate) struct TableExceeded {
    wanted: usize,
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.bytes.saturating_add(desired.saturating_sub(current));
        if wanted > self.bytes_max {
            return Err(MemoryExceeded { wanted, max: self.bytes_max }.into());
        }
        self.bytes = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            return Err(TableExceeded { wanted: desired }.into());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(lines: usize, bytes: usize, messages: &[&str]) -> (Vec<String>, String) {
        let limits = Limits { log_lines_max: lines, log_bytes_max: bytes, ..Limits::default() };
        let mut log = Call::new(&limits).log;
        for message in messages {
            log.write((*message).to_owned(), true);
        }
        let last = log.last().to_owned();
        (log.take_lines(&limits), last)
    }

    #[test]
    fn a_log_within_its_budget_is_kept_whole() {
        let (lines, last) = log_of(2, 7, &["abc", "déf"]);
        assert_eq!((lines, last.as_str()), (vec!["abc".to_owned(), "déf".to_owned()], "déf"));
    }

    #[test]
    fn lines_and_bytes_beyond_the_budget_are_cut_with_a_note() {
        let (lines, last) = log_of(1, 100, &["one", "two"]);
        assert_eq!(lines, ["one", "(more was logged; 1 lines and 100 bytes are kept)"]);
        assert_eq!(last, "two", "what came last is known even so");
        let (lines, _) = log_of(9, 4, &["a\u{e9}\u{e9}", "x"]);
        assert_eq!(lines, ["a\u{e9}", "x", "(more was logged; 9 lines and 4 bytes are kept)"]);
    }

    #[test]
    fn memories_count_together() {
        let mut memory = Memory { bytes: 0, bytes_max: 100 };
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 40, None).unwrap());
        let error = memory.memory_growing(40, 41, None).unwrap_err();
        assert_eq!(error.downcast_ref::<MemoryExceeded>().unwrap().wanted, 101);
        assert_eq!(memory.bytes(), 100);
    }
}
