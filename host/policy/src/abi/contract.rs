//! Whether a component keeps to the contract, found out without running it, and
//! where it does not.
//!
//! `wit_component::targets` has the last word; the comparison here comes first,
//! because it can say which field differs.

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Function, Interface, InterfaceId, Resolve, World, WorldId, WorldItem, WorldKey};

use super::v1;
use crate::fault::plain;

mod compare;

/// The namespace and name of the contract's package.
const PACKAGE: (&str, &str) = ("quorate", "policy");

/// The contract as this gateway speaks it.
pub(crate) struct Contract {
    resolve: Resolve,
    world: WorldId,
}

/// What a component does otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// It is not a policy, or one of another version of the contract.
    Contract(String),
    /// It needs more than the contract offers.
    Imports(Vec<String>),
}

impl Contract {
    /// The contract that is built in.
    pub(crate) fn v1() -> Result<Self, String> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("policy.wit", v1::WIT).map_err(|error| format!("{error:#}"))?;
        let world = resolve.select_world(&[package], Some(v1::WORLD)).map_err(|e| format!("{e:#}"))?;
        Ok(Self { resolve, world })
    }

    /// Compares `component`, a valid one, with the contract.
    pub(crate) fn check(&self, component: &[u8]) -> Result<(), Mismatch> {
        let (resolve, world) = match decode(component) {
            Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
            Ok(DecodedWasm::WitPackage(..)) => {
                return Err(Mismatch::Contract("it is an interface without code".to_owned()));
            }
            Err(error) => return Err(Mismatch::Contract(plain(&format!("{error:#}"), 400))),
        };
        let given = Given { resolve: &resolve, world: &resolve.worlds[world] };
        self.check_exports(&given)?;
        self.check_imports(&given)?;
        wit_component::targets(&self.resolve, self.world, component)
            .map_err(|error| Mismatch::Contract(plain(&format!("{error:#}"), 400)))
    }

    fn check_exports(&self, given: &Given<'_>) -> Result<(), Mismatch> {
        for (name, id) in self.interfaces(&self.world().exports) {
            let Some(found) = given.find(&given.world.exports, name) else {
                return Err(Mismatch::Contract(given.lacks(name)));
            };
            self.same_version(given, found, name)?;
            self.same_functions(given, found, id, name)?;
        }
        Ok(())
    }

    fn check_imports(&self, given: &Given<'_>) -> Result<(), Mismatch> {
        let mut foreign = Vec::new();
        for (key, item) in &given.world.imports {
            let known = match item {
                WorldItem::Interface { id, .. } => self.offered(given, *id).map(|ours| (*id, ours)),
                WorldItem::Function(_) => None,
                // A type that an interface already named, not something to be called.
                WorldItem::Type { .. } => continue,
            };
            match known {
                Some((theirs, (name, ours))) => {
                    self.same_version(given, theirs, name)?;
                    self.same_functions_imported(given, theirs, ours, name)?;
                }
                None => foreign.push(plain(&given.resolve.name_world_key(key), 100)),
            }
        }
        if foreign.is_empty() { Ok(()) } else { Err(Mismatch::Imports(foreign)) }
    }

    fn world(&self) -> &World {
        &self.resolve.worlds[self.world]
    }

    /// The interfaces among `items`, by name.
    fn interfaces<'a>(
        &'a self,
        items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)>,
    ) -> impl Iterator<Item = (&'a str, InterfaceId)> {
        items.into_iter().filter_map(|(_, item)| match item {
            WorldItem::Interface { id, .. } => Some((self.resolve.interfaces[*id].name.as_deref()?, *id)),
            _ => None,
        })
    }

    /// The contract's import that `theirs` means, if it is one.
    fn offered(&self, given: &Given<'_>, theirs: InterfaceId) -> Option<(&str, InterfaceId)> {
        let theirs = given.contract_interface(theirs)?;
        self.interfaces(&self.world().imports).find(|(name, _)| *name == theirs)
    }

    fn same_version(&self, given: &Given<'_>, theirs: InterfaceId, name: &str) -> Result<(), Mismatch> {
        let ours = self.world().package.and_then(|p| self.resolve.packages[p].name.version.clone());
        let theirs = given.resolve.interfaces[theirs]
            .package
            .and_then(|package| given.resolve.packages[package].name.version.clone());
        if ours == theirs {
            return Ok(());
        }
        let shown = |version: Option<String>| version.unwrap_or_else(|| "no version".to_owned());
        let advice = if theirs > ours { "newer: update the gateway" } else { "older: rebuild it" };
        Err(Mismatch::Contract(format!(
            "its `{name}` is of version {}, this gateway speaks {} ({advice})",
            shown(theirs.map(|v| v.to_string())),
            shown(ours.map(|v| v.to_string())),
        )))
    }

    /// Every function of ours is there and means the same. More of theirs are theirs.
    fn same_functions(
        &self,
        given: &Given<'_>,
        theirs: InterfaceId,
        ours: InterfaceId,
        interface: &str,
    ) -> Result<(), Mismatch> {
        let theirs = &given.resolve.interfaces[theirs];
        for (name, ours) in &self.resolve.interfaces[ours].functions {
            let path = format!("{interface}.{name}");
            let Some(theirs) = theirs.functions.get(name) else {
                return Err(Mismatch::Contract(format!("it has no function `{path}`")));
            };
            self.same_function(given, theirs, ours, &path)?;
        }
        Ok(())
    }

    /// Every function of theirs is offered and means the same. They need not use all.
    fn same_functions_imported(
        &self,
        given: &Given<'_>,
        theirs: InterfaceId,
        ours: InterfaceId,
        interface: &str,
    ) -> Result<(), Mismatch> {
        let ours = &self.resolve.interfaces[ours];
        for (name, theirs) in &given.resolve.interfaces[theirs].functions {
            let path = format!("{interface}.{name}");
            match ours.functions.get(name) {
                Some(ours) => self.same_function(given, theirs, ours, &path)?,
                None => return Err(Mismatch::Imports(vec![plain(&path, 100)])),
            }
        }
        Ok(())
    }

    fn same_function(
        &self,
        given: &Given<'_>,
        theirs: &Function,
        ours: &Function,
        path: &str,
    ) -> Result<(), Mismatch> {
        compare::function(&self.resolve, ours, given.resolve, theirs)
            .map_err(|difference| Mismatch::Contract(format!("`{path}`: {difference}")))
    }
}

/// What a component says about itself.
struct Given<'a> {
    resolve: &'a Resolve,
    world: &'a World,
}

impl Given<'_> {
    /// The name of `interface`, if it belongs to the contract's package, of any
    /// version.
    fn contract_interface(&self, interface: InterfaceId) -> Option<&str> {
        let Interface { name, package, .. } = &self.resolve.interfaces[interface];
        let package = &self.resolve.packages[(*package)?].name;
        let ours = (package.namespace.as_str(), package.name.as_str()) == PACKAGE;
        name.as_deref().filter(|_| ours)
    }

    /// Its interface `name` of the contract's package.
    fn find<'a>(
        &self,
        items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)>,
        name: &str,
    ) -> Option<InterfaceId> {
        items.into_iter().find_map(|(_, item)| match item {
            WorldItem::Interface { id, .. } => (self.contract_interface(*id)? == name).then_some(*id),
            _ => None,
        })
    }

    fn lacks(&self, name: &str) -> String {
        let exports: Vec<_> = self
            .world
            .exports
            .keys()
            .map(|key| format!("`{}`", plain(&self.resolve.name_world_key(key), 100)))
            .take(5)
            .collect();
        let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        format!("it does not export `{}:{}/{name}`; it exports {exports}", PACKAGE.0, PACKAGE.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_contract_can_be_read() {
        let contract = Contract::v1().unwrap();
        let names = |items| contract.interfaces(items).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&contract.world().exports), ["rule", "settings"]);
        assert_eq!(names(&contract.world().imports), ["host", "types"]);
    }
}
