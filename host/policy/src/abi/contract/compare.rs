//! The first difference between two functions of two WIT packages, in words.

use wit_parser::{Function, Resolve, Type, TypeDefKind, TypeId};

use crate::fault::plain;

/// The contract's side and the component's, while walking down both.
struct Pair<'a> {
    ours: &'a Resolve,
    theirs: &'a Resolve,
}

/// Whether `their` function is what `our` function is.
pub(super) fn function(
    ours: &Resolve,
    our: &Function,
    theirs: &Resolve,
    their: &Function,
) -> Result<(), String> {
    let pair = Pair { ours, theirs };
    let params = |function: &Function| {
        function.params.iter().map(|p| (p.name.clone(), Some(p.ty))).collect::<Vec<_>>()
    };
    pair.members("parameter", &params(our), &params(their))?;
    pair.optional("result", our.result.as_ref(), their.result.as_ref())
}

impl Pair<'_> {
    fn ty(&self, our: &Type, their: &Type) -> Result<(), String> {
        match (resolved(self.ours, our), resolved(self.theirs, their)) {
            (Resolved::Plain(our), Resolved::Plain(their)) if our == their => Ok(()),
            (Resolved::Defined(our), Resolved::Defined(their)) => self.defined(our, their),
            (our, their) => Err(format!(
                "it should be `{}` and is `{}`",
                name_of(self.ours, &our),
                name_of(self.theirs, &their)
            )),
        }
    }

    fn defined(&self, our: TypeId, their: TypeId) -> Result<(), String> {
        use TypeDefKind::{Enum, List, Option, Record, Variant};
        let (our_kind, their_kind) = (&self.ours.types[our].kind, &self.theirs.types[their].kind);
        let name = name_of(self.ours, &Resolved::Defined(our));
        let difference = match (our_kind, their_kind) {
            (Record(our), Record(their)) => {
                let fields = |record: &wit_parser::Record| {
                    record.fields.iter().map(|f| (f.name.clone(), Some(f.ty))).collect::<Vec<_>>()
                };
                self.members("field", &fields(our), &fields(their))
            }
            (Variant(our), Variant(their)) => {
                let cases = |variant: &wit_parser::Variant| {
                    variant.cases.iter().map(|c| (c.name.clone(), c.ty)).collect::<Vec<_>>()
                };
                self.members("case", &cases(our), &cases(their))
            }
            (Enum(our), Enum(their)) => {
                let cases = |one: &wit_parser::Enum| {
                    one.cases.iter().map(|c| (c.name.clone(), None)).collect::<Vec<_>>()
                };
                self.members("case", &cases(our), &cases(their))
            }
            (List(our), List(their)) | (Option(our), Option(their)) => {
                return self.ty(our, their);
            }
            // The contract has no other kinds.
            _ => {
                let their = name_of(self.theirs, &Resolved::Defined(their));
                return Err(format!("it should be `{name}` and is `{their}`"));
            }
        };
        difference.map_err(|difference| format!("{} `{name}`: {difference}", our_kind.as_str()))
    }

    /// Both lists have the same names in the same order, and the same types.
    fn members(
        &self,
        what: &str,
        our: &[(String, Option<Type>)],
        their: &[(String, Option<Type>)],
    ) -> Result<(), String> {
        let has = |list: &[(String, Option<Type>)], name: &str| list.iter().any(|(n, _)| n == name);
        if let Some((name, _)) = their.iter().find(|(name, _)| !has(our, name)) {
            return Err(format!("{what} `{}` is not in the contract", plain(name, 80)));
        }
        if let Some((name, _)) = our.iter().find(|(name, _)| !has(their, name)) {
            return Err(format!("{what} `{name}` is missing"));
        }
        for ((name, our), (given, their)) in our.iter().zip(their) {
            if name != given {
                return Err(format!("{what} `{name}` is out of order"));
            }
            self.optional(&format!("{what} `{name}`"), our.as_ref(), their.as_ref())?;
        }
        Ok(())
    }

    fn optional(&self, what: &str, our: Option<&Type>, their: Option<&Type>) -> Result<(), String> {
        match (our, their) {
            (None, None) => Ok(()),
            (Some(our), Some(their)) => self.ty(our, their).map_err(|why| format!("{what}: {why}")),
            (Some(_), None) => Err(format!("{what}: it should have a type")),
            (None, Some(_)) => Err(format!("{what}: it should have no type")),
        }
    }
}

/// A type with its aliases followed to the end.
#[derive(Clone, Copy)]
enum Resolved {
    Plain(Type),
    Defined(TypeId),
}

fn resolved(resolve: &Resolve, ty: &Type) -> Resolved {
    let mut ty = *ty;
    while let Type::Id(id) = ty {
        match resolve.types[id].kind {
            TypeDefKind::Type(aliased) => ty = aliased,
            _ => return Resolved::Defined(id),
        }
    }
    Resolved::Plain(ty)
}

fn name_of(resolve: &Resolve, ty: &Resolved) -> String {
    match ty {
        Resolved::Plain(ty) => format!("{ty:?}").to_lowercase(),
        Resolved::Defined(id) => match (&resolve.types[*id].name, &resolve.types[*id].kind) {
            (Some(name), _) => plain(name, 80),
            (None, TypeDefKind::List(of)) => {
                format!("list<{}>", name_of(resolve, &resolved(resolve, of)))
            }
            (None, TypeDefKind::Option(of)) => {
                format!("option<{}>", name_of(resolve, &resolved(resolve, of)))
            }
            (None, kind) => kind.as_str().to_owned(),
        },
    }
}
