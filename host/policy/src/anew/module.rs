//! A module: what of it a call can change, and the function that puts it back.

use wasm_encoder::{Encode as _, ExportKind, Function, Module, RawSection, SectionId};
use wasmparser::{
    ConstExpr, DataKind, ExternalKind, FunctionBody, MemoryType, Operator, Parser, Payload, TypeRef,
};

use super::BEGIN_ANEW;

/// A larger memory is not written over: to make an instance takes less time. As much as
/// the pool keeps for the next one.
const PAGES_MAX: u64 = 4;

const PAGE_BYTES: u64 = 64 << 10;

/// What a call can change in an instance of the module.
#[derive(Default)]
pub(super) struct State<'a> {
    /// In bytes, when nothing has run.
    memory: Option<u64>,
    /// Globals that change: which, and the instruction that gives what they begin with.
    globals: Vec<(u32, &'a [u8])>,
    /// What memory begins with: the address, and the bytes.
    data: Vec<(u32, &'a [u8])>,
    types: u32,
    functions: u32,
}

impl<'a> State<'a> {
    /// None where it can change in a way that nobody could put back from outside.
    pub(super) fn of(module: &'a [u8]) -> Option<Self> {
        let mut state = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            state.add(payload.ok()?)?;
        }
        Some(state)
    }

    /// Whether there is anything to put back.
    pub(super) fn is_any(&self) -> bool {
        self.memory.is_some() || !self.globals.is_empty()
    }

    fn add(&mut self, payload: Payload<'a>) -> Option<()> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    self.types += u32::try_from(group.ok()?.types().len()).ok()?;
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import.ok()?.ty {
                        TypeRef::Func(_) => self.functions += 1,
                        // No instruction changes one, in any module.
                        TypeRef::Table(_) => {}
                        _ => return None,
                    }
                }
            }
            Payload::FunctionSection(section) => self.functions += section.count(),
            Payload::MemorySection(section) => {
                for memory in section {
                    let bytes = size(&memory.ok()?)?;
                    if self.memory.replace(bytes).is_some() {
                        return None;
                    }
                }
            }
            Payload::GlobalSection(section) => {
                for (index, global) in (0..).zip(section) {
                    let global = global.ok()?;
                    if global.ty.mutable {
                        self.globals.push((index, constant(&global.init_expr)?));
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    let is_global = matches!(export.kind, ExternalKind::Global);
                    if export.name == BEGIN_ANEW || is_global && self.is_changed(export.index) {
                        return None;
                    }
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data.ok()?;
                    match data.kind {
                        DataKind::Active { memory_index: 0, offset_expr } => {
                            self.data.push((address(&offset_expr)?, data.data));
                        }
                        _ => return None,
                    }
                }
            }
            Payload::CodeSectionEntry(body) => keeps_segments_and_tables(&body)?,
            Payload::Version { .. }
            | Payload::TableSection(_)
            | Payload::ElementSection(_)
            | Payload::DataCountSection { .. }
            | Payload::CodeSectionStart { .. }
            | Payload::CustomSection(_)
            | Payload::End(_) => {}
            _ => return None,
        }
        Some(())
    }

    fn is_changed(&self, global: u32) -> bool {
        self.globals.iter().any(|(index, _)| *index == global)
    }

    /// `module`, which this is of, with the function.
    pub(super) fn with_begin_anew(&self, module: &[u8]) -> Option<Vec<u8>> {
        let segments = u32::try_from(self.data.len()).ok()?;
        let mut made = Module::new();
        for payload in Parser::new(0).parse_all(module) {
            let Some((id, range)) = payload.ok()?.as_section() else { continue };
            let data = module.get(range)?;
            let (count, added) = match id {
                TYPE => (1, vec![0x60, 0, 0]),
                FUNCTION => (1, encoded(self.types)),
                EXPORT => {
                    let mut export = Vec::new();
                    BEGIN_ANEW.encode(&mut export);
                    ExportKind::Func.encode(&mut export);
                    self.functions.encode(&mut export);
                    (1, export)
                }
                DATA_COUNT => continue,
                CODE => {
                    if segments > 0 {
                        made.section(&RawSection { id: DATA_COUNT, data: &encoded(2 * segments) });
                    }
                    let mut code = Vec::new();
                    self.begin_anew().encode(&mut code);
                    (1, code)
                }
                DATA => (segments, self.passive_segments()),
                _ => (0, Vec::new()),
            };
            made.section(&RawSection { id, data: &grown(data, count, &added)? });
        }
        Some(made.finish())
    }

    /// Memory as at the beginning, then the globals.
    fn begin_anew(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        for (from, to) in self.zeros() {
            code.i32_const(number(from)).i32_const(0).i32_const(number(to - from)).memory_fill(0);
        }
        let segments = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        for (nth, (address, bytes)) in (0_u32..).zip(&self.data) {
            let length = number(bytes.len() as u64);
            code.i32_const(number(u64::from(*address))).i32_const(0).i32_const(length);
            code.memory_init(0, segments.saturating_add(nth));
        }
        for (index, value) in &self.globals {
            function.raw(value.iter().copied());
            function.instructions().global_set(*index);
        }
        function.instructions().end();
        function
    }

    /// Where memory begins with zeros: from, and up to before.
    fn zeros(&self) -> Vec<(u64, u64)> {
        let mut data: Vec<(u64, u64)> = self
            .data
            .iter()
            .map(|(at, bytes)| (u64::from(*at), u64::from(*at) + bytes.len() as u64))
            .collect();
        data.sort_unstable();
        let memory = self.memory.unwrap_or(0);
        data.push((memory, memory));
        let (mut zeros, mut from) = (Vec::new(), 0);
        for (begins, ends) in data {
            let to = begins.min(memory);
            if to > from {
                zeros.push((from, to));
            }
            from = from.max(ends);
        }
        zeros
    }

    /// What memory begins with once more: the engine drops the other ones when it has
    /// written them.
    fn passive_segments(&self) -> Vec<u8> {
        let mut segments = Vec::new();
        for (_, bytes) in &self.data {
            segments.push(1);
            bytes.encode(&mut segments);
        }
        segments
    }
}

const TYPE: u8 = SectionId::Type as u8;
const FUNCTION: u8 = SectionId::Function as u8;
const EXPORT: u8 = SectionId::Export as u8;
const CODE: u8 = SectionId::Code as u8;
const DATA: u8 = SectionId::Data as u8;
const DATA_COUNT: u8 = SectionId::DataCount as u8;

fn encoded(number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    number.encode(&mut bytes);
    bytes
}

/// A section, which is a number of items and these, with more of them.
fn grown(section: &[u8], count: u32, items: &[u8]) -> Option<Vec<u8>> {
    if count == 0 {
        return Some(section.to_vec());
    }
    let mut reader = wasmparser::BinaryReader::new(section, 0);
    let before = reader.read_var_u32().ok()?;
    let mut grown = encoded(before.checked_add(count)?);
    grown.extend_from_slice(section.get(reader.original_position()..)?);
    grown.extend_from_slice(items);
    Some(grown)
}

fn size(memory: &MemoryType) -> Option<u64> {
    let usual = !memory.memory64 && !memory.shared && memory.page_size_log2.is_none();
    (usual && memory.initial <= PAGES_MAX).then_some(memory.initial * PAGE_BYTES)
}

/// The one instruction, if it gives a number that stands there.
fn constant<'a>(expression: &ConstExpr<'a>) -> Option<&'a [u8]> {
    let mut operators = expression.get_operators_reader();
    let is_number = matches!(
        operators.read().ok()?,
        Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::F32Const { .. }
            | Operator::F64Const { .. }
    );
    let ends = matches!(operators.read().ok()?, Operator::End);
    let mut reader = expression.get_binary_reader();
    let bytes = reader.read_bytes(reader.bytes_remaining()).ok()?;
    let (_end, number) = bytes.split_last()?;
    (is_number && ends).then_some(number)
}

/// The address that stands there.
fn address(expression: &ConstExpr<'_>) -> Option<u32> {
    constant(expression)?;
    match expression.get_operators_reader().read().ok()? {
        Operator::I32Const { value } => Some(value.cast_unsigned()),
        _ => None,
    }
}

/// As the instructions write it. Fits: a memory has a few pages at most, and what does not
/// lie in it keeps an instance from being made.
fn number(bytes: u64) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// Whether the function leaves tables and segments as they are. Memory and globals are
/// all else that an instruction changes: the engine knows no threads, no exceptions and no
/// objects.
fn keeps_segments_and_tables(body: &FunctionBody<'_>) -> Option<()> {
    let mut operators = body.get_operators_reader().ok()?;
    while !operators.eof() {
        let changes = matches!(
            operators.read().ok()?,
            Operator::TableSet { .. }
                | Operator::TableGrow { .. }
                | Operator::TableFill { .. }
                | Operator::TableCopy { .. }
                | Operator::TableInit { .. }
                | Operator::ElemDrop { .. }
                | Operator::MemoryInit { .. }
                | Operator::DataDrop { .. }
        );
        if changes {
            return None;
        }
    }
    Some(())
}
