//! The records of the contract that go in, as the engine writes them into a policy's
//! memory. What `bindgen!` would generate, but for one thing: an empty text or list
//! takes no room there, so the policy is not asked for any. Most lists of an input
//! are empty, and each question would cost about as much as a policy's own work.
//!
//! The types are compared with the component's when it is loaded.

#![allow(unsafe_code, reason = "the traits that write into a policy's memory are unsafe to implement")]

use std::mem::MaybeUninit;

use wasmtime::Result;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext};
use wasmtime::component::{ComponentType, Lower};

/// A text or a list, lent.
pub(super) struct Lent<'a, T: ?Sized>(pub(super) &'a T);

pub(super) type Text<'a> = Lent<'a, str>;
pub(super) type List<'a, E> = Lent<'a, [E]>;

/// What goes into memory as a pointer and a length.
trait Sequence {
    /// Where an element may begin, in bytes.
    const ALIGN: u32;
    fn has_none(&self) -> bool;
}

impl Sequence for str {
    const ALIGN: u32 = 1;
    fn has_none(&self) -> bool {
        self.is_empty()
    }
}

impl<E: Lower> Sequence for [E] {
    const ALIGN: u32 = E::ALIGN32;
    fn has_none(&self) -> bool {
        self.is_empty()
    }
}

/// Writes what stands for nothing: a pointer that is aligned and not null, which is
/// what the canonical ABI's `realloc` answers when it is asked for no bytes, and the
/// length zero.
fn nothing<T>(cx: &mut LowerContext<'_, T>, align: u32, offset: usize) {
    let [pointer, length] = cx.get::<8>(offset).as_chunks_mut::<4>().0 else { return };
    *pointer = align.to_le_bytes();
    *length = [0; 4];
}

// SAFETY: laid out and checked as what is lent.
unsafe impl<T: ?Sized + Lower> ComponentType for Lent<'_, T> {
    type Lower = T::Lower;

    const ABI: CanonicalAbiInfo = T::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        T::typecheck(ty, types)
    }
}

// SAFETY: what is written is what a text or a slice writes, or, for an empty one, a
// pointer and a length that need no memory.
unsafe impl<S: ?Sized + Lower + Sequence> Lower for Lent<'_, S> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        self.0.linear_lower_to_flat(cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        if self.0.has_none() {
            nothing(cx, S::ALIGN, offset);
            return Ok(());
        }
        self.0.linear_lower_to_memory(cx, ty, offset)
    }
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Attribute<'a> {
    pub(super) name: Text<'a>,
    pub(super) value: Text<'a>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Principal<'a> {
    pub(super) id: Text<'a>,
    pub(super) email: Text<'a>,
    pub(super) groups: List<'a, Text<'a>>,
    pub(super) attributes: List<'a, Attribute<'a>>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Target<'a> {
    pub(super) name: Text<'a>,
    pub(super) kind: Text<'a>,
    #[component(name = "max-duration")]
    pub(super) max_duration: Option<u64>,
    pub(super) attributes: List<'a, Attribute<'a>>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Command<'a> {
    pub(super) text: Text<'a>,
    pub(super) arguments: List<'a, Text<'a>>,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum Access<'a> {
    #[component(name = "just-in-time")]
    JustInTime(u64),
    #[component(name = "command")]
    Command(Command<'a>),
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Request<'a> {
    pub(super) id: Text<'a>,
    pub(super) requester: Principal<'a>,
    pub(super) target: Target<'a>,
    pub(super) access: Access<'a>,
    pub(super) reason: Text<'a>,
    #[component(name = "submitted-at")]
    pub(super) submitted_at: u64,
    pub(super) attributes: List<'a, Attribute<'a>>,
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Choice {
    #[component(name = "approve")]
    Approve,
    #[component(name = "reject")]
    Reject,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Vote<'a> {
    pub(super) voter: Principal<'a>,
    pub(super) choice: Choice,
    pub(super) forced: bool,
    pub(super) comment: Text<'a>,
    #[component(name = "cast-at")]
    pub(super) cast_at: u64,
    pub(super) attributes: List<'a, Attribute<'a>>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Fact<'a> {
    pub(super) name: Text<'a>,
    pub(super) known: Option<Text<'a>>,
    #[component(name = "as-of")]
    pub(super) as_of: u64,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct PastRequest<'a> {
    pub(super) access: Access<'a>,
    pub(super) outcome: Text<'a>,
    #[component(name = "submitted-at")]
    pub(super) submitted_at: u64,
    #[component(name = "ended-at")]
    pub(super) ended_at: Option<u64>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Input<'a> {
    pub(super) now: u64,
    pub(super) request: Request<'a>,
    pub(super) votes: List<'a, Vote<'a>>,
    pub(super) history: List<'a, PastRequest<'a>>,
    pub(super) facts: List<'a, Fact<'a>>,
    pub(super) attributes: List<'a, Attribute<'a>>,
}
