//! What one evaluation may use. Every limit has a default; none can be left out.

use serde::{Deserialize, Serialize};

/// What a component and one evaluation of it may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Units of fuel, about one per instruction. Deterministic: the same call uses
    /// the same amount. Default 10 million.
    pub fuel_max: u64,
    /// Milliseconds: the backstop for work that uses no fuel. After this long on the
    /// clock, a call may run on for as long again on a processor, so that a busy
    /// machine is no policy's fault. Default 50.
    pub evaluate_ms_max: u64,
    /// Linear memory, all memories of the component together. Default 16 MiB.
    pub memory_bytes_max: usize,
    /// Native stack; the same for all policies. Default 256 KiB.
    pub stack_bytes_max: usize,
    /// The component itself. Default 32 MiB.
    pub component_bytes_max: usize,
    /// The input, as texts and numbers. Default 256 KiB.
    pub input_bytes_max: usize,
    /// The config. Default 64 KiB.
    pub config_bytes_max: usize,
    /// What a policy hands back at once: a verdict, findings, a schema, or one
    /// message to log. Default 64 KiB.
    pub answer_bytes_max: usize,
    /// Lines kept of what a policy logs. Default 64.
    pub log_lines_max: usize,
    /// Bytes kept of what a policy logs. Default 8 KiB.
    pub log_bytes_max: usize,
    /// Evaluations at the same time; more of them wait for each other. Default 16.
    pub evaluations_max: u32,
    /// How long an evaluation waits for its turn before it gives up as overloaded.
    /// Default 10,000.
    pub wait_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel_max: 10_000_000,
            evaluate_ms_max: 50,
            memory_bytes_max: 16 << 20,
            stack_bytes_max: 256 << 10,
            component_bytes_max: 32 << 20,
            input_bytes_max: 256 << 10,
            config_bytes_max: 64 << 10,
            answer_bytes_max: 64 << 10,
            log_lines_max: 64,
            log_bytes_max: 8 << 10,
            evaluations_max: 16,
            wait_ms_max: 10_000,
        }
    }
}
